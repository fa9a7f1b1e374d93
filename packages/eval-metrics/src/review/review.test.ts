import { describe, expect, it } from 'vitest'
import { agreement } from './agreement'
import { parseCsv } from './csv'
import { scoreReview } from './score'
import { blindReview } from './sheet'

const rows = Array.from({ length: 30 }, (_, i) => ({
  id: `row-${i}`,
  prompt: i === 0 ? '<script>alert(1)</script>' : `question ${i}`,
  outputs: { base: `=base, "${i}"\nline`, tuned: `tuned ${i}` },
}))

/** Fills a sheet in as a reviewer who always prefers texts that begin with `wish`. */
function fill(csv: string, wish: string): string {
  const lines = parseCsv(csv).map(
    ({ id, left }) => `${id},${left.replace(/^'/, '').startsWith(wish) ? 'left' : 'Right '}`,
  )
  return `id,choice\n${lines.join('\n')}`
}

describe('blind review', () => {
  const review = blindReview({ rows })

  it('shuffles sides and rows, and does not give the systems away', () => {
    const lines = parseCsv(review.csv)
    expect(lines).toHaveLength(30)
    expect(new Set(lines.map(({ id }) => id)).size).toBe(30)
    const lefts = lines.filter(({ left }) => left.startsWith('tuned')).length
    expect(lefts).toBeGreaterThan(5)
    expect(lefts).toBeLessThan(25)
    expect(review.csv.split('\n')[0]).not.toMatch(/base|tuned/)
    expect(review.html).not.toMatch(/<script>alert|data-system/)
    expect(review.html.match(/<script>/g)).toHaveLength(1)
    expect(blindReview({ rows })).toEqual(review)
    expect(blindReview({ rows, seed: 1 }).csv).not.toEqual(review.csv)
    expect(parseCsv(blindReview({ rows, limit: 4 }).csv)).toHaveLength(4)
  })

  it('scores sheets that come back', () => {
    const result = scoreReview({ key: review.key, sheets: [fill(review.csv, 'tuned'), fill(review.csv, 'tuned')] })
    expect(result).toMatchObject({ wins: { base: 0, tuned: 30 }, ties: 0, winRate: 1, reviewers: [{}, {}] })
    expect(result.pValue).toBeLessThan(0.01)
    const split = scoreReview({ key: review.key, sheets: [fill(review.csv, 'tuned'), fill(review.csv, '=base')] })
    expect(split).toMatchObject({ ties: 30, winRate: 0.5, pValue: 1 })
    expect(split.kappa).toBe(0)
  })

  it('leaves rows without a choice out and names wrong lines', () => {
    const [first, second] = Object.keys(JSON.parse(review.key).left)
    const sheet = (choice: string) => `\ufeffid;choice\r\n"${first}";tie\r\n"${second}";${choice}\r\n`
    expect(scoreReview({ key: review.key, sheets: [sheet('')] })).toMatchObject({ ties: 1, kappa: null })
    expect(() => scoreReview({ key: review.key, sheets: [sheet('better')] })).toThrow(/"better" is none of.*line 3/)
    expect(() => scoreReview({ key: review.key, sheets: ['id,choice\nother,left'] })).toThrow(
      /"other" is not in the key/,
    )
    expect(() => scoreReview({ key: '{}', sheets: [sheet('')] })).toThrow(/key cannot be read/)
    expect(() => scoreReview({ key: review.key, sheets: ['id,choice'] })).toThrow(/no vote/)
    expect(() => blindReview({ rows: [rows[0], rows[0]] })).toThrow(/occurs twice/)
    expect(() => blindReview({ rows: [{ id: 1, outputs: { one: '' } }] })).toThrow(/two systems/)
  })
})

describe('agreement', () => {
  it('is Cohen’s kappa on the rows both decided', () => {
    const first = { a: 'x', b: 'x', c: 'y', d: 'y', e: 'x' }
    const second = { a: 'x', b: 'y', c: 'y', d: 'y', f: 'x' }
    // 3 of 4 agree; chance (2*1 + 2*3) / 16
    expect(agreement({ first, second })).toEqual({ rows: 4, agreement: 0.75, kappa: 0.5 })
    expect(agreement({ first, second: {} })).toEqual({ rows: 0, agreement: Number.NaN, kappa: Number.NaN })
  })
})

describe('parseCsv', () => {
  it('reads quotes, line breaks and missing cells', () => {
    expect(parseCsv('a,b\r\n"x ""y"", z\r\n2",\r\n\r\nlast')).toEqual([
      { a: 'x "y", z\r\n2', b: '' },
      { a: 'last', b: '' },
    ])
    expect(parseCsv('')).toEqual([])
  })
})
