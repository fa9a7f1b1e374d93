import { describe, expect, it } from 'vitest'
import { applyLengthPolicy } from './policy'

const EOS = 2
/** Prompt of three tokens, answer of three and EOS. */
const chat = { inputIds: [5, 6, 7, 11, 12, 13, EOS], labels: [-100, -100, -100, 11, 12, 13, EOS], id: 'a' }
const short = { inputIds: [5, 11, EOS], labels: [-100, 11, EOS], id: 'b' }

describe('applyLengthPolicy', () => {
  it('drops', () => {
    const { examples, indices, report } = applyLengthPolicy([chat, short], { maxLength: 5, policy: 'drop' })
    expect([examples, indices]).toEqual([[short], [1]])
    expect(report).toMatchObject({ examples: 2, kept: 1, tooLong: 1, dropped: 1 })
  })

  it('cuts the end as TRL does, and says whose end token is gone', () => {
    const { examples, report } = applyLengthPolicy([chat, short], { maxLength: 5 })
    expect(examples[0]).toEqual({ inputIds: [5, 6, 7, 11, 12], labels: [-100, -100, -100, 11, 12], id: 'a' })
    expect(report).toMatchObject({ truncated: 1, eosCut: 1 })
    expect(report.summary).toBe('1 of 2 examples exceed 5 tokens, 1 truncated, 1 answers lost their end token')
    expect(chat.inputIds).toHaveLength(7)
  })

  it('cuts the start, which keeps the answer', () => {
    const { examples, report } = applyLengthPolicy([chat], { maxLength: 5, truncationMode: 'keep_end' })
    expect(examples[0]!.inputIds).toEqual([7, 11, 12, 13, EOS])
    expect(report.eosCut).toBe(0)
  })

  it('keeps the end token, drops the row or refuses when asked to', () => {
    const kept = applyLengthPolicy([chat], { maxLength: 5, eosCut: 'keep', eosTokenId: EOS })
    expect(kept.examples[0]).toMatchObject({ inputIds: [5, 6, 7, 11, EOS], labels: [-100, -100, -100, 11, EOS] })
    expect(kept.report.eosCut).toBe(0)
    expect(applyLengthPolicy([chat], { maxLength: 5, eosCut: 'drop' }).report).toMatchObject({ dropped: 1, eosCut: 1 })
    expect(() => applyLengthPolicy([chat], { maxLength: 5, eosCut: 'error' })).toThrow(/loses its end token.*example 0/)
  })

  it('looks for the EOS token behind which a template puts a line break', () => {
    const withBreak = { inputIds: [...chat.inputIds, 9], labels: [...chat.labels, -100] }
    const cut = (maxLength: number) => applyLengthPolicy([withBreak], { maxLength, eosTokenId: EOS }).report.eosCut
    expect([cut(7), cut(6)]).toEqual([0, 1])
  })

  it('splits into parts that lose no token', () => {
    const { examples, indices, report } = applyLengthPolicy([chat, short], { maxLength: 4, policy: 'split' })
    expect(examples.map(({ inputIds }) => inputIds)).toEqual([
      [5, 6, 7, 11],
      [12, 13, EOS],
      [5, 11, EOS],
    ])
    expect(indices).toEqual([0, 0, 1])
    expect(report.split).toBe(1)
  })

  it('leaves out what has nothing to learn, unless told otherwise', () => {
    const { examples, report } = applyLengthPolicy([chat], { maxLength: 3 })
    expect(examples).toEqual([])
    expect(report.withoutTargets).toBe(1)
    expect(applyLengthPolicy([chat], { maxLength: 3, dropWithoutTargets: false }).examples).toHaveLength(1)
  })
})
