import { TunesmithError } from '@tunesmith/core'

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
  throw new TunesmithError('llama.cpp has no way of its own for how this tokenizer cuts text into words', {
    code: 'unsupported',
    where,
    remedy:
      'Export safetensors instead, which transformers and vLLM read with the tokenizer as it is; or give the name of a similar way as preTokenizer, and some texts become other tokens',
  })
}
