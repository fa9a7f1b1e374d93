/** The label of a token the loss does not see. */
export const IGNORED_LABEL = -100

/** A list of token ids or labels; `Int32Array` is the compact choice for whole data sets. */
export type TokenList = number[] | Int32Array

/** A tokenized row: `labels` is aligned with `inputIds` (not shifted), with -100 where nothing is learnt. */
export interface TokenizedExample {
  /** `[tokens]` */
  inputIds: TokenList
  /** `[tokens]` */
  labels: TokenList
}

/** Tokens `start` to `end` (exclusive) of an example. */
export function sliceExample(example: TokenizedExample, start: number, end: number): TokenizedExample {
  if (start === 0 && end === example.inputIds.length) return example
  return { inputIds: example.inputIds.slice(start, end), labels: example.labels.slice(start, end) }
}

/** How many positions of a sequence have a target, once labels are shifted: its first label has nothing before it. */
export function countTargets(labels: TokenList): number {
  let count = 0
  for (let t = 1; t < labels.length; t++) if (labels[t] !== IGNORED_LABEL) count++
  return count
}
