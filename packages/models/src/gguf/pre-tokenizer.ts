import { invalidOptions, nearestName, unsupported } from '@tunesmith/core'

/** The parts of tokenizer.json that say how text is cut into words. */
export interface WordRules {
  normalizer: unknown
  pre_tokenizer: unknown
  model: { ignore_merges?: boolean }
}

/** A normalizer or pre-tokenizer. */
export interface Step {
  type: string
  prepend_scheme?: string
  pattern?: { Regex?: string; String?: string }
  add_prefix_space?: boolean
  use_regex?: boolean
  individual_digits?: boolean
  normalizers?: Step[]
  pretokenizers?: Step[]
}

/** The steps of a sequence, or the only one. */
export function stepsOf(rule: unknown): Step[] {
  const step = rule as Step | null
  return step?.type === 'Sequence' ? [...(step.normalizers ?? step.pretokenizers ?? [])] : step ? [step] : []
}

const CONTRACTIONS = "(?i:'s|'t|'re|'ve|'m|'ll|'d)"
const REST = String.raw`| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`
const WORD = String.raw`|[^\r\n\p{L}\p{N}]?\p{L}+`
const CASED = String.raw`[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+`
const UPPER = String.raw`|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*`
const CASED_REST = String.raw`| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+`

/**
 * Word patterns of tokenizer.json and llama.cpp's names for them: where a word that is a token is taken whole
 * (`ignore_merges`), and where merges make every token.
 */
const PATTERNS = new Map<string, { whole?: string; merged?: string }>([
  // Llama 3 and what was made from it.
  [String.raw`${CONTRACTIONS}${WORD}|\p{N}{1,3}${REST}`, { whole: 'llama-bpe', merged: 'smaug-bpe' }],
  [String.raw`${CONTRACTIONS}${WORD}|\p{N}${REST}`, { merged: 'qwen2' }],
  // Mistral Nemo.
  [String.raw`${CASED}${UPPER}|\p{N}${CASED_REST}`, { whole: 'tekken' }],
  // Phi 4 mini.
  [String.raw`${CASED}${CONTRACTIONS}?${UPPER}${CONTRACTIONS}?|\p{N}{1,3}${CASED_REST}`, { merged: 'gpt-4o' }],
])

/** Every name that llama.cpp reads (2026); it refuses a file with another one. */
const KNOWN_NAMES = [
  'default minicpm5 llama3 llama-v3 llama-bpe falcon3 falcon-h1 pixtral midm-2.0 lfm2 jina-v5-nano',
  'deepseek-llm deepseek-coder deepseek-v3 youtu falcon mpt starcoder gpt-2 phi-2 jina-es jina-de',
  'gigachat jina-v2-es jina-v2-de a.x-4.0 mellum modern-bert jais-2 gemma4 granite-embed-multi-311m',
  'sarvam-moe jina-v1-en jina-v2-code roberta-bpe whitespace refact command-r qwen2 deepseek-r1-qwen',
  'kormo f2llmv2 qwen35 stablelm2 olmo dbrx smaug-bpe poro-chat glm4 chatglm-bpe viking jais tekken',
  'smollm codeshell bloom gpt3-finnish exaone exaone4 exaone-moe chameleon minerva-7b megrez gpt-4o',
  'llama4 kanana2 talkie granite-embed-multi-97m tiny_aya cohere2moe superbpe trillion granite-docling',
  'bailingmoe bailingmoe2 llada-moe seed-coder hunyuan hunyuan-dense joyai-llm kimi-k2 grok-2 afmoe',
  'laguna minimax-m2 solar-open mellum2',
].flatMap((line) => line.split(' '))

/** @throws {TunesmithError} `invalid_options` for a name that llama.cpp does not read. */
export function checkPreTokenizerName(name: string): void {
  if (KNOWN_NAMES.includes(name)) return
  const nearest = nearestName(name, KNOWN_NAMES)
  throw invalidOptions(`llama.cpp has no pre-tokenizer "${name}"`, {
    where: 'preTokenizer',
    remedy: `${nearest ? `Did you mean "${nearest}"? ` : ''}Give one it reads, such as gpt-2, llama-bpe, qwen2, tekken or smollm`,
  })
}

/**
 * llama.cpp's name for the way a byte-level tokenizer cuts text into words.
 *
 * @throws {TunesmithError} `unsupported` for a way that it has no name for: with another one it would read other tokens.
 */
export function preTokenizerName({ pre_tokenizer, normalizer, model }: WordRules, where: string): string {
  const before = stepsOf(pre_tokenizer)
  const bytes = before.pop()
  // llama.cpp does not compose characters; text that is typed is composed already.
  const plain = normalizer === null || (normalizer as Step).type === 'NFC'
  if (plain && bytes?.type === 'ByteLevel' && !bytes.add_prefix_space) {
    const [only] = before
    const words = bytes.use_regex !== false && !model.ignore_merges
    if (words && before.length === 0) return 'gpt-2'
    if (words && before.length === 1 && only!.type === 'Digits' && only!.individual_digits) return 'smollm'
    if (!words && before.length === 1 && only!.type === 'Split' && bytes.use_regex === false) {
      const names = PATTERNS.get(only!.pattern?.Regex ?? '')
      const name = model.ignore_merges ? names?.whole : names?.merged
      if (name) return name
    }
  }
  throw unsupported('llama.cpp has no way of its own for how this tokenizer cuts text into words', {
    where,
    remedy:
      'Export safetensors instead, which transformers and vLLM read with the tokenizer as it is; or give the name of a similar way as preTokenizer, and some texts become other tokens',
  })
}
