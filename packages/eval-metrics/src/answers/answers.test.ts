import { describe, expect, it } from 'vitest'
import { pubmedQa, readDecision } from './pubmed-qa'
import { exactMatch, normalizeAnswer, tokenF1 } from './squad'

describe('readDecision', () => {
  it.each([
    ['yes', 'yes'],
    ['No.', 'no'],
    ['**Maybe**', 'maybe'],
    ['Yes, the drug lowered mortality. There was no difference in cost.', 'yes'],
    ['No, it did not.', 'no'],
    ['No it does not', 'no'],
    ['The trial was small. Final answer: no', 'no'],
    ['Answer: yes. On reflection the final decision is maybe.', 'maybe'],
    ['{"final_decision": "maybe"}', 'maybe'],
    ['The answer to the question is yes, since survival rose.', 'yes'],
    ['The answer is probably no.', 'no'],
    ['Yes and no: it depends on the dose.', 'maybe'],
    ['Perhaps, but more trials are needed.', 'maybe'],
    ['Taken together the data suggest yes.', 'yes'],
    ['YES\n\nBecause the p value is small.', 'yes'],
    ['- no\n', 'no'],
    ['No significant difference was found between the groups.', null],
    ['There was no effect on survival.', null],
    ['Some say yes, others say no.', null],
    ['The answer is no longer known.', null],
    ['Eyes and noses were examined; the yesterday group knows.', null],
    ['', null],
  ])('%j is %s', (answer, decision) => {
    expect(readDecision(answer)).toBe(decision)
  })

  it('scores unread answers as wrong', () => {
    const result = pubmedQa({
      predictions: ['Yes.', 'No effect was seen', 'maybe', 'no'],
      references: ['yes', 'no', 'yes', 'no'],
    })
    expect(result).toMatchObject({ accuracy: 0.5, unread: 1, decisions: ['yes', null, 'maybe', 'no'] })
    // yes: F1 2/3, no: F1 2/3, maybe: 0
    expect(result.macroF1).toBeCloseTo(4 / 9, 12)
  })

  it('refuses a reference that is no decision', () => {
    expect(() => pubmedQa({ predictions: ['yes'], references: ['si'] as never })).toThrow(/references\.0/)
  })
})

describe('exactMatch and tokenF1', () => {
  it('normalizes case, punctuation, articles and blanks', () => {
    expect(normalizeAnswer('  The Quick,  brown\tfox!  ')).toBe('quick brown fox')
    expect(normalizeAnswer('a.m. an-other theatre Ça')).toBe('am another theatre ça')
  })

  it('takes the best reference, and defines empty answers', () => {
    const pairs = { predictions: ['the cat', '', '', 'x'], references: [['dog', 'Cat!'], '', 'word', 'the'] }
    expect(exactMatch(pairs)).toEqual({ score: 0.5, rows: [1, 1, 0, 0] })
    expect(tokenF1(pairs).rows).toEqual([1, 1, 0, 0])
    expect(exactMatch({ predictions: ['Cat'], references: ['cat'], normalize: false }).score).toBe(0)
  })

  it('refuses different counts and rows without a reference', () => {
    expect(() => exactMatch({ predictions: ['a'], references: [] })).toThrow(/1 predictions but 0 rows/)
    expect(() => tokenF1({ predictions: ['a', 'b'], references: ['a', []] })).toThrow(/no reference.*row 1/)
    expect(() => tokenF1({ predictions: [], references: [] })).toThrow(/nothing to score/)
  })
})
