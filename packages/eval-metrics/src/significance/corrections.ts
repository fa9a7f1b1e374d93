import { parseOptions } from '@tunesmith/core'
import { z } from 'zod'

const schema = z.strictObject({
  /** One per comparison, each in [0, 1]. */
  pValues: z.array(z.number().min(0).max(1)),
  /**
   * `holm` (default) and `bonferroni` bound the chance of any false finding, holm never worse; `benjaminiHochberg` bounds
   * the expected share of false findings among the findings, and suits many exploratory comparisons.
   */
  method: z.enum(['holm', 'bonferroni', 'benjaminiHochberg']).default('holm'),
})

/**
 * Corrects p values for having been tested together: compare the results with the level you would use for one test.
 *
 * @returns corrected p values in the order given, at most 1 (C. Bonferroni; S. Holm 1979; Y. Benjamini, Y. Hochberg 1995).
 */
export function correctPValues(options: z.input<typeof schema>): number[] {
  const { pValues, method } = parseOptions(schema, options, 'correctPValues')
  const n = pValues.length
  if (method === 'bonferroni') return pValues.map((p) => Math.min(1, p * n))
  const order = pValues.map((_, i) => i).sort((a, b) => pValues[a] - pValues[b])
  const corrected = new Array<number>(n)
  if (method === 'holm') {
    let running = 0
    order.forEach((i, rank) => {
      running = Math.max(running, Math.min(1, pValues[i] * (n - rank)))
      corrected[i] = running
    })
  } else {
    let running = 1
    for (let rank = n; rank >= 1; rank--) {
      const i = order[rank - 1]
      running = Math.min(running, (pValues[i] * n) / rank)
      corrected[i] = running
    }
  }
  return corrected
}
