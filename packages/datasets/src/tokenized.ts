import { IGNORE_INDEX, type TokenizedExample, type TokenList } from '@tunesmith/core'

/** Tokens `start` to `end` (exclusive) of an example. */
export function sliceExample(example: TokenizedExample, start: number, end: number): TokenizedExample {
  if (start === 0 && end === example.inputIds.length) return example
  return { inputIds: example.inputIds.slice(start, end), labels: example.labels.slice(start, end) }
}

/** Whether any position of a sequence has a target, once labels are shifted: its first label has nothing before it. */
export function hasTargets(labels: TokenList): boolean {
  for (let t = 1; t < labels.length; t++) if (labels[t] !== IGNORE_INDEX) return true
  return false
}
