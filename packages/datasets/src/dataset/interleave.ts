import { invalidOptions, parseOptions, Random } from '@tunesmith/core'
import { z } from 'zod'

export const interleaveSchema = z.strictObject({
  /** The chance of each source to give the next row; they must add up to 1. Without them sources take turns. */
  probabilities: z.array(z.number().min(0).max(1)).optional(),
  /** Default 0; used with probabilities only. */
  seed: z.int().default(0),
  /**
   * Stop as soon as one source has no more rows (`firstExhausted`, the default), or once every source has given all of
   * its rows, starting the shorter ones over (`allExhausted`). Sources that take turns finish the round, as Hugging Face's
   * map-style data sets do; its streams leave out the last repeated rows with `all_exhausted`.
   */
  stopping: z.enum(['firstExhausted', 'allExhausted']).default('firstExhausted'),
})
export type InterleaveOptions = z.input<typeof interleaveSchema>

/** Chooses the source of each next row. */
export function sourceChooser(count: number, { probabilities, seed }: z.output<typeof interleaveSchema>): () => number {
  if (!probabilities) {
    let turn = -1
    return () => {
      turn = (turn + 1) % count
      return turn
    }
  }
  const sum = probabilities.reduce((total, p) => total + p, 0)
  if (probabilities.length !== count || Math.abs(sum - 1) > 1e-6)
    throw invalidOptions(
      `${count} sources need ${count} probabilities that add up to 1, not ${probabilities.length} that add up to ${sum}`,
      { where: 'interleave' },
    )
  const random = new Random(seed, 'interleave')
  return () => {
    let rest = random.uniform() * sum
    for (let i = 0; i < count - 1; i++) {
      rest -= probabilities[i]!
      if (rest < 0) return i
    }
    return count - 1
  }
}

/** Whether the row just taken from `source` may be the last one. */
export function mayStop(source: number, count: number, options: z.output<typeof interleaveSchema>): boolean {
  return options.probabilities !== undefined || source === count - 1
}

/** The rows of several sources of these lengths, as indices into all of them end to end. */
export function interleaveOrder(lengths: readonly number[], options: InterleaveOptions): Uint32Array {
  const parsed = parseOptions(interleaveSchema, options, 'interleave')
  if (lengths.length === 0) return new Uint32Array()
  const choose = sourceChooser(lengths.length, parsed)
  if (parsed.stopping === 'allExhausted') {
    const stuck = lengths.findIndex((length, i) => length === 0 || parsed.probabilities?.[i] === 0)
    if (stuck >= 0)
      throw invalidOptions(`Source ${stuck} can never be used up: it is empty or has probability 0`, {
        where: 'interleave',
      })
  }
  const starts = lengths.map((_, i) => lengths.slice(0, i).reduce((sum, length) => sum + length, 0))
  const taken = lengths.map(() => 0)
  const order: number[] = []
  let unfinished = lengths.length
  if (lengths.includes(0)) return new Uint32Array()
  for (;;) {
    const source = choose()
    order.push(starts[source]! + (taken[source]! % lengths[source]!))
    taken[source]!++
    if (taken[source] === lengths[source]) unfinished--
    const enough = parsed.stopping === 'firstExhausted' ? unfinished < lengths.length : unfinished === 0
    if (enough && mayStop(source, lengths.length, parsed)) return Uint32Array.from(order)
  }
}
