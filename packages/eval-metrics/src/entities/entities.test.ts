import { describe, expect, it } from 'vitest'
import { bioTags } from './bio-lines'
import { entitiesOf } from './chunks'
import { entityF1 } from './entity-f1'

describe('entityF1', () => {
  const references = [
    ['O', 'O', 'O', 'B-MISC', 'I-MISC', 'I-MISC', 'O'],
    ['B-PER', 'I-PER', 'O'],
  ]
  const predictions = [
    ['O', 'O', 'B-MISC', 'I-MISC', 'I-MISC', 'I-MISC', 'O'],
    ['B-PER', 'I-PER', 'O'],
  ]

  it('counts only whole entities', () => {
    const { micro, macro, weighted, types, rows, tokenAccuracy } = entityF1({ predictions, references })
    expect(micro).toEqual({ precision: 0.5, recall: 0.5, f1: 0.5, support: 2 })
    expect([macro.f1, weighted.f1]).toEqual([0.5, 0.5])
    expect([types.MISC.f1, types.PER.f1]).toEqual([0, 1])
    expect(rows).toEqual([0, 1])
    expect(tokenAccuracy).toBeCloseTo(0.8, 12)
  })

  it('reads broken sequences leniently or strictly', () => {
    const tags = ['I-D', 'I-D', 'O', 'B-D', 'I-C', 'I-C', 'B-D']
    expect(entitiesOf(tags, false)).toEqual([
      { type: 'D', start: 0, end: 1 },
      { type: 'D', start: 3, end: 3 },
      { type: 'C', start: 4, end: 5 },
      { type: 'D', start: 6, end: 6 },
    ])
    expect(entitiesOf(tags, true)).toEqual([
      { type: 'D', start: 3, end: 3 },
      { type: 'D', start: 6, end: 6 },
    ])
    expect(entitiesOf(['B', 'I', 'E-X-Y', 'S-Z'], false)).toEqual([
      { type: '_', start: 0, end: 1 },
      { type: 'X-Y', start: 2, end: 2 },
      { type: 'Z', start: 3, end: 3 },
    ])
  })

  it('refuses tags of other schemes when strict, as seqeval refuses "Invalid token is found: S-PER"', () => {
    for (const foreign of [['S-PER'], ['B-PER', 'E-PER'], ['B-PER', 'L-PER'], ['U-PER'], ['M-PER']]) {
      const gold = foreign.map(() => 'O')
      const score = (strict: boolean) => entityF1({ predictions: [gold, foreign], references: [gold, gold], strict })
      expect(() => score(true)).toThrow(/is no tag of IOB2.*predicted row 1/)
      expect(() => entityF1({ predictions: [gold], references: [foreign], strict: true })).toThrow(/reference row 0/)
      expect(() => score(false)).not.toThrow()
    }
  })

  it('defines rows without entities and refuses uneven rows', () => {
    const none = entityF1({ predictions: [['O'], []], references: [['O'], []] })
    expect(none).toMatchObject({ rows: [1, 1], micro: { f1: 0, support: 0 }, tokenAccuracy: 1 })
    expect(() => entityF1({ predictions: [['O']], references: [['O', 'O']] })).toThrow(
      /1 predicted tags for 2 tokens.*row 0/,
    )
    expect(() => entityF1({ predictions: [], references: [] })).toThrow(/0 predicted rows/)
  })
})

describe('bioTags', () => {
  const tokens = ['Gout', 'of', ':', 'the', 'toe', '.']

  it('reads a clean answer', () => {
    const answer = 'Gout : B-Disease\nof : I-Disease\n: : I-Disease\nthe : O\ntoe : O\n. : O'
    expect(bioTags({ tokens, answer })).toEqual({
      tags: ['B-Disease', 'I-Disease', 'I-Disease', 'O', 'O', 'O'],
      missing: 0,
      extra: 0,
    })
  })

  it('lets a forgotten or an invented line shift nothing', () => {
    const answer = 'Here are the tags:\nGout : B-Disease\n: : O\nnew : B-Disease\nthe : O\ntoe : B-Part\n. : O'
    expect(bioTags({ tokens, answer })).toEqual({
      tags: ['B-Disease', 'O', 'O', 'O', 'B-Part', 'O'],
      missing: 1,
      extra: 2,
    })
    expect(bioTags({ tokens: ['a'], answer: '' })).toEqual({ tags: ['O'], missing: 1, extra: 0 })
  })
})
