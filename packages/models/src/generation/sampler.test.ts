import { Random } from '@tunesmith/core'
import { describe, expect, it } from 'vitest'
import { createSampler, type SamplingOptions, samplingDistribution } from './sampler'

/** The distribution by the book: sort everything, in double precision. */
function reference(logits: ArrayLike<number>, seen: readonly number[], options: SamplingOptions): Map<number, number> {
  const { temperature = 1, topK = 0, topP = 1, minP = 0, repetitionPenalty = 1 } = options
  const scores = Array.from(logits, (logit, token) => {
    if (!seen.includes(token)) return logit
    return logit > 0 ? logit / repetitionPenalty : logit * repetitionPenalty
  }).map((score) => score / temperature)
  let kept = scores.map((score, token) => ({ token, score })).sort((a, b) => b.score - a.score || a.token - b.token)
  if (topK > 0 && topK < kept.length) kept = kept.filter(({ score }) => score >= kept[topK - 1]!.score)
  const softmax = () => {
    const sum = kept.reduce((total, { score }) => total + Math.exp(score - kept[0]!.score), 0)
    return kept.map(({ score }) => Math.exp(score - kept[0]!.score) / sum)
  }
  if (topP < 1) {
    const probabilities = softmax()
    let before = 0
    kept = kept.filter((_, i) => {
      const stays = before < topP
      before += probabilities[i]!
      return stays
    })
  }
  const probabilities = softmax()
  kept = kept.filter((_, i) => probabilities[i]! >= minP * probabilities[0]!)
  const last = softmax()
  return new Map(kept.map(({ token }, i) => [token, last[i]!]))
}

function randomLogits(size: number, seed: number, spread = 2.5): Float32Array {
  const random = new Random(seed, 'logits')
  return Float32Array.from({ length: size }, () => random.normal() * spread)
}

/** The value that chi-square with so many degrees of freedom passes once in 10,000 (Wilson and Hilferty 1931). */
const chiSquareLimit = (degrees: number) =>
  degrees * (1 - 2 / (9 * degrees) + 3.719 * Math.sqrt(2 / (9 * degrees))) ** 3

const cases: [string, SamplingOptions][] = [
  ['temperature', { temperature: 1.7 }],
  ['top-k', { topK: 7 }],
  ['top-p', { topP: 0.8 }],
  ['min-p', { minP: 0.05 }],
  ['repetition penalty', { repetitionPenalty: 1.6 }],
  ['all of them', { temperature: 1.4, topK: 30, topP: 0.9, minP: 0.02, repetitionPenalty: 1.3 }],
]
const seen = [3, 3, 8, 21, 40, 3]

describe('sampling', () => {
  for (const [name, options] of cases)
    it(`${name}: 40,000 draws follow the distribution`, () => {
      const logits = randomLogits(60, 5)
      const expected = reference(logits, seen, options)
      const sample = createSampler({ ...options, doSample: true, seed: 11 })
      const draws = 40_000
      const counts = new Map<number, number>()
      for (let i = 0; i < draws; i++) {
        const token = sample(logits, seen)
        counts.set(token, (counts.get(token) ?? 0) + 1)
      }
      expect([...counts.keys()].filter((token) => !expected.has(token))).toEqual([])
      // Rare tokens count together, so that each cell expects at least ten.
      let statistic = 0
      let cells = 0
      let rare = { expected: 0, observed: 0 }
      const cell = (expectedCount: number, observed: number) => {
        statistic += (observed - expectedCount) ** 2 / expectedCount
        cells++
      }
      for (const [token, probability] of expected) {
        const [expectedCount, observed] = [probability * draws, counts.get(token) ?? 0]
        if (expectedCount >= 10) cell(expectedCount, observed)
        else rare = { expected: rare.expected + expectedCount, observed: rare.observed + observed }
      }
      if (rare.expected > 0) cell(rare.expected, rare.observed)
      expect(cells).toBeGreaterThan(4)
      expect(statistic).toBeLessThan(chiSquareLimit(cells - 1))
    })

  for (const [name, options] of cases)
    it(`${name}: the same tokens and probabilities as by sorting, in small and large vocabularies`, () => {
      for (const [size, spread] of [
        [1, 1],
        [2, 1],
        [60, 2.5],
        [5000, 0.01],
        [5000, 12],
        [40_000, 2],
      ] as const) {
        const logits = randomLogits(size, size + spread, spread)
        const before = seen.filter((token) => token < size)
        const ours = samplingDistribution(logits, before, options)
        const expected = reference(logits, before, options)
        expect(ours.length).toBe(expected.size)
        for (const { token, probability } of ours)
          expect(Math.abs(probability - (expected.get(token) ?? -1))).toBeLessThan(1e-12)
      }
    })

  it('keeps ties with the k-th token, and of equal tokens at the edge of the nucleus the first', () => {
    const tokens = (options: SamplingOptions) =>
      samplingDistribution([1, 2, 2, 2, 0], [], options).map(({ token }) => token)
    expect(tokens({ topK: 2 })).toEqual([1, 2, 3])
    expect(tokens({ topP: 0.4 })).toEqual([1, 2])
    expect(tokens({ topP: 1e-9 })).toEqual([1])
  })

  it('repeats itself with the same seed and stream only', () => {
    const logits = randomLogits(60, 1)
    const draw = (seed: number, stream = '') => {
      const sample = createSampler({ doSample: true, seed }, stream)
      return Array.from({ length: 50 }, () => sample(logits, []))
    }
    expect(draw(4)).toEqual(draw(4))
    expect(draw(4)).not.toEqual(draw(5))
    expect(draw(4)).not.toEqual(draw(4, '1'))
  })

  it('greedy takes the first of the largest, after the penalty', () => {
    expect(createSampler()(Float32Array.of(1, 3, 3, 2), [1])).toBe(1)
    expect(createSampler({ repetitionPenalty: 2 })(Float32Array.of(1, 3, 2.9, -1), [1, 1])).toBe(2)
  })

  it('says so when there is no next token', () => {
    expect(() => createSampler()(new Float32Array(3).fill(Number.NaN), [])).toThrow(/largest logit is NaN/)
    expect(() => createSampler({ doSample: true })(new Float32Array(3).fill(Number.NaN), [])).toThrow(/NaN/)
  })
})
