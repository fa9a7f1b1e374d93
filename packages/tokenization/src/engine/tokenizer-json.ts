/** The parts of a tokenizer.json this package reads; the format is that of Rust `tokenizers`. */
export interface AddedTokenJson {
  id: number
  content: string
  single_word?: boolean
  lstrip?: boolean
  rstrip?: boolean
  normalized?: boolean
  special?: boolean
}

export type Pattern = { String: string } | { Regex: string }

/** A normalizer, pre-tokenizer, post-processor or decoder: a type and its settings. */
export interface StepJson {
  type: string
  [setting: string]: unknown
}

export interface BpeJson extends StepJson {
  vocab: Record<string, number>
  merges: string[] | [string, string][]
  dropout?: number | null
  unk_token?: string | null
  continuing_subword_prefix?: string | null
  end_of_word_suffix?: string | null
  fuse_unk?: boolean
  byte_fallback?: boolean
  ignore_merges?: boolean
}

/** How texts are cut: to `max_length` tokens, special ones included. */
export interface Truncation {
  direction: 'Left' | 'Right'
  max_length: number
  strategy: 'LongestFirst' | 'OnlyFirst' | 'OnlySecond'
  stride: number
}

/** How texts are filled up. */
export interface Padding {
  strategy: 'BatchLongest' | { Fixed: number }
  direction: 'Left' | 'Right'
  pad_to_multiple_of: number | null
  pad_id: number
  pad_type_id: number
  pad_token: string
}

export interface TokenizerJson {
  version?: string
  truncation?: Truncation | null
  padding?: Padding | null
  added_tokens: AddedTokenJson[]
  normalizer: StepJson | null
  pre_tokenizer: StepJson | null
  post_processor: StepJson | null
  decoder: StepJson | null
  model: StepJson
}

/** The steps of a `Sequence` (whose list has another name in each part of the file), or the one step itself. */
export function stepsOf(step: StepJson | null, list: string): StepJson[] {
  if (step === null || step === undefined) return []
  if (step.type !== 'Sequence') return [step]
  return ((step[list] as StepJson[]) ?? []).flatMap((inner) => stepsOf(inner, list))
}
