import { TunesmithError } from '@tunesmith/core'

/** The parts of tokenizer.json that say how text is cut into words. */
export interface WordRules {
  normalizer: unknown
  pre_tokenizer: unknown
  model: { ignore_merges?: boolean }
}

interface Step {
  type: string
  pattern?: { Regex?: string; String?: string }
  add_prefix_space?: boolean
  use_regex?: boolean
  individual_digits?: boolean
  pretokenizers?: Step[]
}

const CONTRACTIONS = "(?i:'s|'t|'re|'ve|'m|'ll|'d)"
const REST = String.raw`| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`
const WORD = String.raw`|[^\r\n\p{L}\p{N}]?\p{L}+`
const CASED = String.raw`[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+`
const UPPER = String.raw`|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*`
const CASED_REST = String.raw`| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+`

/** Word patterns of tokenizer.json and llama.cpp's names for them, whole words first and then merges only. */
const PATTERNS = new Map<string, { ignoringMerges: string; merging: string }>([
  // Llama 3 and what was made from it. llama.cpp's llama-bpe takes words that are tokens whole; smaug-bpe does not.
  [String.raw`${CONTRACTIONS}${WORD}|\p{N}{1,3}${REST}`, { ignoringMerges: 'llama-bpe', merging: 'smaug-bpe' }],
  [String.raw`${CONTRACTIONS}${WORD}|\p{N}${REST}`, { ignoringMerges: 'qwen2', merging: 'qwen2' }],
  // Mistral Nemo.
  [String.raw`${CASED}${UPPER}|\p{N}${CASED_REST}`, { ignoringMerges: 'tekken', merging: 'tekken' }],
  // Phi 4 mini.
  [
    String.raw`${CASED}${CONTRACTIONS}?${UPPER}${CONTRACTIONS}?|\p{N}{1,3}${CASED_REST}`,
    { ignoringMerges: 'gpt-4o', merging: 'gpt-4o' },
  ],
])

/** llama.cpp takes words that are tokens whole with these names only. */
const TAKES_WHOLE = new Set(['llama-bpe', 'tekken'])

/**
 * llama.cpp's name for the way a byte-level tokenizer cuts text into words.
 *
 * @throws {TunesmithError} `unsupported` for a way that it has no name for: with another one it would read other tokens.
 */
export function preTokenizerName({ pre_tokenizer, normalizer, model }: WordRules, where: string): string {
  const step = pre_tokenizer as Step | null
  const steps = step?.type === 'Sequence' ? (step.pretokenizers ?? []) : step ? [step] : []
  const bytes = steps.at(-1)
  const before = steps.slice(0, -1)
  const kind = (normalizer as Step | null)?.type
  // llama.cpp does not compose characters; text that is typed is composed already.
  const plain = normalizer === null || kind === 'NFC'
  if (plain && bytes?.type === 'ByteLevel' && !bytes.add_prefix_space) {
    const [only] = before
    if (before.length === 0 && bytes.use_regex !== false && !model.ignore_merges) return 'gpt-2'
    if (before.length === 1 && only!.type === 'Digits' && only!.individual_digits && bytes.use_regex !== false)
      return 'smollm'
    const names = before.length === 1 && only!.type === 'Split' && PATTERNS.get(only!.pattern?.Regex ?? '')
    if (names && bytes.use_regex === false) {
      const name = model.ignore_merges ? names.ignoringMerges : names.merging
      if (!model.ignore_merges || TAKES_WHOLE.has(name) || name === 'gpt-4o') return name
    }
  }
  throw new TunesmithError('llama.cpp has no way of its own for how this tokenizer cuts text into words', {
    code: 'unsupported',
    where,
    remedy: 'Export safetensors instead; transformers and vLLM read the tokenizer as it is',
  })
}
