import { describe, expect, it } from 'vitest'
import { createSampler, type SamplerOptions } from './sampler'

const lengths = Array.from({ length: 500 }, (_, i) => 1 + ((i * 7919) % 90))
const variants: [string, SamplerOptions][] = [
  ['in order', { length: 53, shuffle: false, batchSize: 4 }],
  ['shuffled', { length: 53, seed: 3, batchSize: 4 }],
  ['without a short last batch', { length: 53, seed: 3, batchSize: 4, dropLast: true }],
  ['grouped by length', { length: 500, seed: 3, batchSize: 8, groupByLength: true, lengths }],
  ['by token budget', { length: 500, seed: 3, tokenBudget: 200, lengths }],
  ['by token budget, grouped', { length: 500, seed: 3, tokenBudget: 200, groupByLength: true, lengths }],
]

describe.each(variants)('createSampler, %s', (_, options) => {
  it('hands out every row once an epoch, in another order each time', () => {
    const sampler = createSampler(options)
    const first = [...sampler]
    expect(first).toHaveLength(sampler.batchesPerEpoch)
    const rows = first.flat()
    expect(new Set(rows).size).toBe(rows.length)
    expect(rows.length).toBe(options.dropLast ? 52 : options.length)
    if (options.tokenBudget)
      for (const batch of first) expect(batch.reduce((sum, i) => sum + lengths[i]!, 0)).toBeLessThanOrEqual(200)
    expect(sampler.next()).toBeUndefined()
    sampler.nextEpoch()
    expect(sampler.epoch).toBe(1)
    const second = [...sampler]
    if (options.shuffle === false) expect(second).toEqual(first)
    else expect(second).not.toEqual(first)
    expect([...createSampler({ ...options, epoch: 1 })]).toEqual(second)
  })

  it('resumes mid-epoch at every place with exactly the batches not yet seen', () => {
    const all = [...createSampler(options)]
    const sampler = createSampler(options)
    for (let batch = 0; batch <= all.length; batch++) {
      const state = JSON.parse(JSON.stringify(sampler.state()))
      expect([...createSampler(options, state)]).toEqual(all.slice(batch))
      sampler.next()
    }
  })
})

describe('createSampler', () => {
  it('goes on after a resume with the epochs that follow', () => {
    const options = { length: 10, seed: 1, batchSize: 3 }
    const sampler = createSampler(options)
    sampler.nextEpoch()
    sampler.next()
    const resumed = createSampler({ ...options, seed: 99 }, sampler.state())
    expect([...resumed]).toEqual([...sampler])
    sampler.nextEpoch()
    resumed.nextEpoch()
    expect([...resumed]).toEqual([...sampler])
  })

  it('may go on in batches of another size', () => {
    const sampler = createSampler({ length: 10, seed: 1, batchSize: 3 })
    const seen = [...sampler.next()!, ...sampler.next()!]
    const resumed = createSampler({ length: 10, seed: 1, batchSize: 3, dropLast: true }, sampler.state())
    expect(resumed.batchesLeft).toBe(1)
    expect([...resumed]).toHaveLength(1)
    expect(sampler.batchesLeft).toBe(2)
    const rest = [...createSampler({ length: 10, seed: 1, batchSize: 2 }, sampler.state())].flat()
    expect([...seen, ...rest].sort((a, b) => a - b)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9])
  })

  it('puts rows of like length together', () => {
    const spread = (batches: number[][]) =>
      batches.reduce((sum, batch) => {
        const own = batch.map((i) => lengths[i]!)
        return sum + Math.max(...own) - Math.min(...own)
      }, 0) / batches.length
    const options = { length: 500, seed: 3, batchSize: 8, lengths }
    const grouped = [...createSampler({ ...options, groupByLength: true })]
    expect(spread(grouped)).toBeLessThan(spread([...createSampler(options)]) / 10)
    expect(grouped[0]!.map((i) => lengths[i]!)).toContain(90)
  })

  it('refuses a state of other data, and lengths that do not fit', () => {
    const state = createSampler({ length: 10 }).state()
    expect(() => createSampler({ length: 11 }, state)).toThrow(/other data/)
    expect(() => createSampler({ length: 10, shuffle: false }, state)).toThrow(/other data/)
    expect(() => createSampler({ length: 3, tokenBudget: 5 })).toThrow(/need the lengths/)
    expect(() => createSampler({ length: 3, lengths: [1] })).toThrow(/3 rows but 1 lengths/)
    expect(() => createSampler({ length: 1, lengths: [9], tokenBudget: 5 })).toThrow(
      /more than the token budget.*row 0/,
    )
  })
})
