import { describe, expect, it } from 'vitest'
import { fuzz } from './lib/fuzz.mjs'
import { shares } from './lib/shares.mjs'

const MUTANTS = 20_000
/** More than the limit of `npm run fuzz`: other tests run beside these. */
const SECONDS = 20
const total = Object.values(shares).reduce((sum, share) => sum + share, 0)

describe('damaged files', () => {
  it.each(Object.entries(shares))(
    '%s: each loads, or ends in a TunesmithError within the limits',
    async (target, share) => {
      const mutants = Math.round((MUTANTS * share) / total)
      const { loads, errors, faults } = await fuzz({ target, mutants, seed: 20, seconds: SECONDS })
      expect(faults).toEqual([])
      expect(loads + errors).toBe(mutants)
      // Damage that is never noticed, or always, tests nothing.
      expect(loads).toBeGreaterThan(0)
      expect(errors).toBeGreaterThan(mutants / 20)
    },
  )
})
