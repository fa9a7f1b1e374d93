import { describe, expect, it } from 'vitest'
import { distinctN, lengthRatio, repetition } from './diversity'
import { perplexity } from './perplexity'

describe('perplexity', () => {
  it('averages over all tokens, not over rows', () => {
    const half = Math.log(0.5)
    const result = perplexity({ logProbs: [[half, half, half], [Math.log(0.25)]], texts: ['é', 'abc'] })
    expect(result.perplexity).toBeCloseTo(2 ** (5 / 4), 12)
    expect(result.rows[0]).toBeCloseTo(2, 12)
    expect(result.bitsPerByte).toBeCloseTo(1, 12)
    expect(result.tokens).toBe(4)
    const same = perplexity({ losses: [-3 * half, -2 * half], tokens: [3, 1], bytes: [2, 3] })
    expect(same.perplexity).toBeCloseTo(result.perplexity, 12)
    expect(perplexity({ logProbs: [Float32Array.of(0)] })).toMatchObject({ perplexity: 1, bitsPerByte: null })
  })

  it('keeps to 1e-9 of a plain product over random inputs', () => {
    const probabilities = Array.from({ length: 200 }, (_, i) => ((i * 37) % 101) / 102 + 0.005)
    const product = probabilities.reduce((a, b) => a * b ** (1 / 200), 1)
    expect(perplexity({ logProbs: [probabilities.map(Math.log)] }).perplexity).toBeCloseTo(1 / product, 9)
  })

  it('refuses what it cannot score', () => {
    expect(() => perplexity({ logProbs: [[0.5]] })).toThrow(/above 0.*row 0/)
    expect(() => perplexity({ logProbs: [[Number.NaN]] })).toThrow(/not a number/)
    expect(() => perplexity({ logProbs: [[]] })).toThrow(/no token/)
    expect(() => perplexity({ losses: [1] })).toThrow(/losses together with tokens/)
    expect(() => perplexity({ losses: [1], tokens: [1, 2] })).toThrow(/different numbers of rows/)
  })
})

describe('diversity and length', () => {
  it('counts distinct n-grams over all texts', () => {
    expect(distinctN({ predictions: ['a b a b', 'A c'] })).toEqual({ 1: 3 / 6, 2: 3 / 4, 3: 1 })
    expect(distinctN({ predictions: ['', ''], orders: [1, 4] })).toEqual({ 1: 0, 4: 0 })
  })

  it('counts repeated n-grams per text', () => {
    const { rows } = repetition({ predictions: ['x y x y x y', 'all words differ here', 'short', ''], orders: [2] })
    expect(rows).toEqual([1 - 2 / 5, 0, 0, 0])
  })

  it('compares lengths in words', () => {
    const { score, rows } = lengthRatio({
      predictions: ['one two', '', '山 川 🎈', 'x'],
      references: [['a b c d', 'a b c'], '', 'z', ''],
    })
    expect(rows).toEqual([2 / 3, 1, 2, Number.NaN])
    expect(score).toBe(5 / 4)
  })
})
