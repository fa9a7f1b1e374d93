import { parseOptions } from '@tunesmith/core'
import { z } from 'zod'

const sortSchema = z.strictObject({
  /** Largest first. Default false. */
  descending: z.boolean().default(false),
  /** Where rows without a value go. Default last, in either direction. */
  nulls: z.enum(['first', 'last']).default('last'),
})
export type SortOptions = z.input<typeof sortSchema>

function compare(a: unknown, b: unknown): number {
  const numeric = (value: unknown) => typeof value === 'number' || typeof value === 'bigint'
  if (typeof a === typeof b || (numeric(a) && numeric(b)))
    return (a as number) < (b as number) ? -1 : (a as number) > (b as number) ? 1 : 0
  return typeof a < typeof b ? -1 : 1 // mixed types keep together, so that the order stays one
}

/**
 * The indices of `values` in sorted order; equal values keep theirs. Text is compared by UTF-16 code units, not by a
 * language's rules, so that the order is the same on every machine. NaN counts as missing.
 */
export function sortOrder(values: readonly unknown[], options: SortOptions = {}): Uint32Array {
  const { descending, nulls } = parseOptions(sortSchema, options, 'sort')
  const missing: number[] = []
  const present: number[] = []
  values.forEach((value, i) => {
    const absent = value === null || value === undefined || Number.isNaN(value)
    ;(absent ? missing : present).push(i)
  })
  const sign = descending ? -1 : 1
  present.sort((a, b) => sign * compare(values[a], values[b]) || a - b)
  return Uint32Array.from(nulls === 'first' ? [...missing, ...present] : [...present, ...missing])
}
