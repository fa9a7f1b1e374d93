import { IGNORE_INDEX, type TokenizedExample, type TokenList } from '@tunesmith/core'

/** Tokens `start` to `end` (exclusive) of an example; a view where its ids are a typed array. */
export function sliceExample(example: TokenizedExample, start: number, end: number): TokenizedExample {
  if (start === 0 && end === example.inputIds.length) return example
  const part = (list: TokenList) => (list instanceof Int32Array ? list.subarray(start, end) : list.slice(start, end))
  return { inputIds: part(example.inputIds), labels: part(example.labels) }
}

/** Whether any position of a sequence has a target, once labels are shifted: its first label has nothing before it. */
export function hasTargets(labels: TokenList): boolean {
  for (let t = 1; t < labels.length; t++) if (labels[t] !== IGNORE_INDEX) return true
  return false
}
