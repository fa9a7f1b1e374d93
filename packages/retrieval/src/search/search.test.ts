import { expect, it } from 'vitest'
import { fitWeight } from './fit'
import { convexFusion, reciprocalRankFusion } from './fusion'
import { maximalMarginalRelevance, wordCosine } from './mmr'

const ranked = (scores: Record<string, number>) => Object.entries(scores).map(([key, score]) => ({ key, score }))

it('fuses by ranks', () => {
  const fused = reciprocalRankFusion([ranked({ a: 9, b: 5 }), ranked({ b: 0.9, c: 0.1 })])
  expect(fused.map(({ key }) => key)).toEqual(['b', 'a', 'c'])
  expect(fused[0]!.score).toBeCloseTo(1 / 62 + 1 / 61)
  expect(reciprocalRankFusion([[], []])).toEqual([])
})

it('combines normalised scores', () => {
  const fused = convexFusion(ranked({ a: 10, b: 4 }), ranked({ b: 0.5, c: 0.2 }), 0.25)
  // The bm25 scores are 1 and 0.4, the dense ones 1 and 1.2 / 1.5; each lacks one, which gets the lowest there.
  expect(Object.fromEntries(fused.map(({ key, score }) => [key, Number(score.toFixed(6))]))).toEqual({
    a: 0.75 + 0.25 * 0.8,
    b: 0.3 + 0.25,
    c: 0.3 + 0.2,
  })
  expect(convexFusion([], ranked({ c: 0.2 }), 0)[0]!.score).toBe(0)
})

it('learns to trust the search that is right, in the middle of the weights that are best', async () => {
  const rankings = async () => ({
    bm25: ranked({ wrong: 10, right: 9 }),
    dense: ranked({ right: 1, wrong: -0.8 }),
    documentOf: (key: string) => key,
  })
  const { weight, curve } = await fitWeight({ rankings }, [{ question: 'q', documents: ['right'] }])
  expect(curve[0]!.mrr).toBe(0.5)
  expect(curve[100]!.mrr).toBe(1)
  expect(weight).toBeGreaterThan(0.5)
  expect(weight).toBeLessThan(0.6)
})

it('takes what is new before what is better and known', () => {
  const similarity = (a: number, b: number) => (a + b === 1 ? 1 : 0)
  expect(maximalMarginalRelevance([1, 0.9, 0.5], similarity, { count: 3, lambda: 0.5 })).toEqual([0, 2, 1])
  expect(maximalMarginalRelevance([1, 0.9, 0.5], similarity, { count: 2, lambda: 1 })).toEqual([0, 1])
  expect(wordCosine(['a', 'b'], ['b', 'c'])).toBeCloseTo(0.5)
  expect(wordCosine([], ['a'])).toBe(0)
})
