import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { sharedFolder } from '../testing/shared'
import { packBestFitDecreasing, packWrapped } from './pack'
import { packExamples } from './pack-examples'

const goldens = sharedFolder('goldens/trl_sft')

describe('packBestFitDecreasing', () => {
  it('places the longest first, into the fullest bin that fits', () => {
    const bins = packBestFitDecreasing([3, 8, 5, 2, 0, 5], 8)
    expect(bins.map((bin) => bin.map(({ index }) => index))).toEqual([[1], [2, 0], [5, 3]])
  })

  it('takes the bin that has waited longest when several are equally full', () => {
    const bins = packBestFitDecreasing([6, 6, 2, 2], 8)
    expect(bins.map((bin) => bin.map(({ index }) => index))).toEqual([
      [0, 2],
      [1, 3],
    ])
  })

  it('truncates or splits what is longer than a bin', () => {
    expect(packBestFitDecreasing([10], 4)).toEqual([[{ index: 0, start: 0, end: 4 }]])
    expect(packBestFitDecreasing([10], 4, { overflow: 'split' })).toEqual([
      [{ index: 0, start: 0, end: 4 }],
      [{ index: 0, start: 4, end: 8 }],
      [{ index: 0, start: 8, end: 10 }],
    ])
  })

  it('packs into bins of one token, and nothing into none', () => {
    expect(packBestFitDecreasing([1, 1], 1)).toHaveLength(2)
    expect(packBestFitDecreasing([], 4)).toEqual([])
    expect(() => packBestFitDecreasing([1], 0)).toThrow(/capacity/)
  })

  it('keeps every token once and never overfills, on random lengths', () => {
    let seed = 7
    const next = (n: number) => {
      seed = (Math.imul(seed, 1103515245) + 12345) & 0x7fffffff
      return seed % n
    }
    for (let round = 0; round < 50; round++) {
      const capacity = 1 + next(60)
      const lengths = Array.from({ length: next(200) }, () => next(90))
      for (const bins of [
        packBestFitDecreasing(lengths, capacity, { overflow: 'split' }),
        packWrapped(lengths, capacity),
      ]) {
        const seen = lengths.map(() => 0)
        for (const bin of bins) {
          const used = bin.reduce((sum, { start, end }) => sum + end - start, 0)
          expect(used).toBeLessThanOrEqual(capacity)
          for (const { index, start, end } of bin) seen[index]! += end - start
        }
        expect(seen).toEqual(lengths)
      }
    }
  })
})

describe('packWrapped', () => {
  it('fills every bin but the last', () => {
    expect(packWrapped([3, 4, 2], 4)).toEqual([
      [
        { index: 0, start: 0, end: 3 },
        { index: 1, start: 0, end: 1 },
      ],
      [
        { index: 1, start: 1, end: 4 },
        { index: 2, start: 0, end: 1 },
      ],
      [{ index: 2, start: 1, end: 2 }],
    ])
  })
})

describe.skipIf(!goldens.present)(`TRL's packing ${goldens.note}`, () => {
  interface Packed {
    input_ids: number[][]
    seq_lengths?: number[][]
  }
  interface Golden {
    cases: { seq_length: number; input_ids: number[][]; bfd: Packed; bfd_split: Packed; wrapped: Packed }[]
  }
  it('gives the same bins, token by token', () => {
    const { cases } = JSON.parse(readFileSync(join(goldens.path, 'packing_cases.json'), 'utf8')) as Golden
    expect(cases.length).toBeGreaterThan(10)
    for (const { seq_length, input_ids, ...expected } of cases) {
      const examples = input_ids.map((inputIds) => ({ inputIds, labels: inputIds }))
      for (const [strategy, packed] of [
        ['bfd', expected.bfd],
        ['bfd_split', expected.bfd_split],
        ['wrapped', expected.wrapped],
      ] as const) {
        const { bins } = packExamples(examples, { maxLength: seq_length, strategy })
        expect(bins.map((bin) => bin.flatMap(({ inputIds }) => Array.from(inputIds)))).toEqual(packed.input_ids)
        if (packed.seq_lengths)
          expect(bins.map((bin) => bin.map(({ inputIds }) => inputIds.length))).toEqual(packed.seq_lengths)
      }
    }
  })
})
