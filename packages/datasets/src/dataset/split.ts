import { invalidOptions, parseOptions, Random, stringifyJson } from '@tunesmith/core'
import { z } from 'zod'
import { contentKey, groupIndices } from '../values'

const splitSchema = z.strictObject({
  /** Rows in the test part: a share between 0 and 1, or a whole number. Default 0.25. */
  testSize: z
    .number()
    .positive()
    .refine((size) => size < 1 || Number.isInteger(size), 'must be a share below 1 or a whole number of rows')
    .default(0.25),
  /** Default 0. */
  seed: z.int().default(0),
  /** Without it, the test part is the last rows. Default true. */
  shuffle: z.boolean().default(true),
  /** A column whose values occur in both parts in the same shares. */
  stratifyBy: z.string().optional(),
  /** A column of which every value is wholly in one part: patients, documents, conversations. */
  groupBy: z.string().optional(),
})
export type SplitOptions = z.input<typeof splitSchema>

interface Indices {
  train: Uint32Array
  test: Uint32Array
}

/** Shares `total` out in proportion to `sizes`, in whole numbers: largest remainder first, earlier first on ties. */
function apportion(sizes: readonly number[], total: number): number[] {
  const all = sizes.reduce((sum, size) => sum + size, 0)
  const exact = sizes.map((size) => (size * total) / all)
  const counts = exact.map(Math.floor)
  let left = total - counts.reduce((sum, count) => sum + count, 0)
  const byRemainder = exact.map((_, i) => i).sort((a, b) => exact[b]! - counts[b]! - (exact[a]! - counts[a]!) || a - b)
  for (const i of byRemainder) if (left-- > 0) counts[i]!++
  return counts
}

/**
 * Puts whole groups into the test part, largest first, each if that brings the rows of every class nearer to their
 * number there. Exact sizes are not always possible with groups.
 */
function chooseGroups(groups: number[][], classOf: (row: number) => number, wanted: number[]): Set<number> {
  const have = wanted.map(() => 0)
  const test = new Set<number>()
  const bySize = groups.map((_, i) => i).sort((a, b) => groups[b]!.length - groups[a]!.length || a - b)
  for (const index of bySize) {
    const counts = new Map<number, number>()
    for (const row of groups[index]!) counts.set(classOf(row), (counts.get(classOf(row)) ?? 0) + 1)
    let change = 0
    for (const [c, count] of counts) change += Math.abs(wanted[c]! - have[c]! - count) - Math.abs(wanted[c]! - have[c]!)
    if (change >= 0) continue
    for (const [c, count] of counts) have[c]! += count
    for (const row of groups[index]!) test.add(row)
  }
  return test
}

/**
 * Which rows go where. Both parts keep the shuffled order, or the rows' own when `shuffle` is false.
 *
 * @throws {TunesmithError} `invalid_options` when a part would be empty, or a class has too few rows to be in both.
 */
export function splitIndices(length: number, column: (name: string) => unknown[], options: SplitOptions): Indices {
  const { testSize, seed, shuffle, stratifyBy, groupBy } = parseOptions(splitSchema, options, 'trainTestSplit')
  const fail = (what: string, remedy?: string) => invalidOptions(what, { where: 'trainTestSplit', remedy })
  // A share is rounded up, as scikit-learn and Hugging Face datasets do.
  const testRows = testSize < 1 ? Math.ceil(testSize * length) : testSize
  if (testRows >= length || length === 0)
    throw fail(`${testRows} of ${length} rows for testing would leave none for training`, 'Choose a smaller testSize')

  const order = Array.from({ length }, (_, i) => i)
  if (shuffle) new Random(seed, 'split').shuffle(order)
  const part = (test: (row: number) => boolean): Indices => ({
    train: Uint32Array.from(order.filter((row) => !test(row))),
    test: Uint32Array.from(order.filter(test)),
  })
  if (stratifyBy === undefined && groupBy === undefined) {
    const inTest = new Set(shuffle ? order.slice(0, testRows) : order.slice(length - testRows))
    return part((row) => inTest.has(row))
  }

  const strata = stratifyBy === undefined ? undefined : groupIndices(column(stratifyBy), contentKey)
  const classes = strata ? [...strata.values()] : [order]
  const wanted = apportion(
    classes.map((rows) => rows.length),
    testRows,
  )
  const classNumber = new Uint32Array(length)
  for (const [c, rows] of classes.entries()) for (const row of rows) classNumber[row] = c

  if (groupBy !== undefined) {
    const position = new Uint32Array(length)
    for (let i = 0; i < length; i++) position[order[i]!] = i
    const groups = [...groupIndices(column(groupBy), contentKey).values()].sort(
      (a, b) => position[a[0]!]! - position[b[0]!]!,
    )
    const test = chooseGroups(groups, (row) => classNumber[row]!, wanted)
    if (test.size === 0 || test.size === length)
      throw fail(
        `No whole group of "${groupBy}" fits a test part of ${testRows} rows`,
        'Choose a larger testSize, or a column with smaller groups',
      )
    return part((row) => test.has(row))
  }

  const lonely = [...strata!].find(([, rows]) => rows.length < 2)
  if (lonely)
    throw fail(
      `The value ${stringifyJson(lonely[0])} of "${stratifyBy}" occurs once, so it cannot be in both parts`,
      'Filter such rows out, or split without stratifyBy',
    )
  const left = [...wanted]
  const inTest = new Set<number>()
  for (const row of shuffle ? order : [...order].reverse()) if (left[classNumber[row]!]!-- > 0) inTest.add(row)
  return part((row) => inTest.has(row))
}
