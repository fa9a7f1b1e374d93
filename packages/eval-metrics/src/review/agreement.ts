import { parseOptions } from '@tunesmith/core'
import { z } from 'zod'
import { kappaOf } from '../classification/classification'
import { countLabels } from '../classification/confusion'

const schema = z.strictObject({
  /** Decisions by row id: `{ 'row 1': 'tuned', 'row 2': 'tie' }`. */
  first: z.record(z.string(), z.string()),
  second: z.record(z.string(), z.string()),
})

export interface Agreement {
  /** Rows both decided. */
  rows: number
  /** Share of those on which they decided alike; NaN without any. */
  agreement: number
  /** Cohen's kappa: agreement beyond what chance would give; NaN when chance alone would always agree. */
  kappa: number
}

/** How far two judges agree, a model and a person for instance, on the rows both decided. */
export function agreement(options: z.input<typeof schema>): Agreement {
  const { first, second } = parseOptions(schema, options, 'agreement')
  const ids = Object.keys(first).filter((id) => Object.hasOwn(second, id))
  if (ids.length === 0) return { rows: 0, agreement: Number.NaN, kappa: Number.NaN }
  const counts = countLabels(
    ids.map((id) => first[id]),
    ids.map((id) => second[id]),
    undefined,
    'agreement',
  )
  return { rows: ids.length, agreement: counts.correctRows / ids.length, kappa: kappaOf(counts.matrix) }
}
