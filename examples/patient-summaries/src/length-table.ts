import type { TokenizedExample } from '@tunesmith/datasets'
import { count, percent } from 'example-kit'

/** Rows by length in ranges around the limit: what stays, and what a length filter takes out. */
export function lengthTable(examples: readonly TokenizedExample[], maxLength: number): string[][] {
  const upper = [0.25, 0.5, 0.75, 1, 1.5, 2, Number.POSITIVE_INFINITY].map((share) => Math.round(share * maxLength))
  return upper.map((high, i) => {
    const low = i === 0 ? 0 : upper[i - 1]!
    const inside = examples.filter(({ inputIds }) => inputIds.length > low && inputIds.length <= high).length
    const range = high === Number.POSITIVE_INFINITY ? `more than ${low}` : `${low + 1} to ${high}`
    return [range, count(inside), percent(inside / examples.length), high <= maxLength ? 'kept' : 'dropped']
  })
}
