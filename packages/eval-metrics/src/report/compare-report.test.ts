import { describe, expect, it } from 'vitest'
import { compareReport } from './compare-report'
import { lineChart } from './line-chart'
import { wordDiff } from './word-diff'

const rows = [
  { id: 'a', prompt: 'Name a colour', reference: 'green', outputs: { base: 'green', tuned: 'green' } },
  { id: 'b', prompt: '<b>bold</b>?', outputs: { base: '', tuned: '<script>alert(1)</script>' } },
  { id: 'c', reference: ['x', 'y'], outputs: { base: '=SUM(A1)', tuned: 'a "quoted", line\nand 山 🎈' } },
]
const metrics = [{ name: 'm', scores: { base: [1, 0, 0.5], tuned: [1, 0.5, 0] } }]

describe('compareReport', () => {
  it('shows every text as text, and allows no script', () => {
    const { html } = compareReport({
      rows,
      metrics: [{ name: '<img src=x onerror=alert(2)>', scores: metrics[0].scores, signature: '<i>' }],
      title: '</title><script>alert(3)</script>',
      failures: [{ system: 'tuned', row: 1, check: 'no "code"', message: '<script>alert(4)</script>' }],
    })
    expect(html).not.toMatch(/<script|<img|<i>/)
    expect(html).toContain('&lt;script&gt;')
    expect(html).toContain("default-src 'none'")
  })

  it('sorts rows from the greatest loss to the greatest gain', () => {
    const { html } = compareReport({ rows, metrics })
    const order = [...html.matchAll(/<b>([abc])<\/b>/g)].map((match) => match[1])
    expect(order).toEqual(['c', 'a', 'b'])
    const lower = compareReport({ rows, metrics: [{ ...metrics[0], higherIsBetter: false }] }).html
    expect([...lower.matchAll(/<b>([abc])<\/b>/g)].map((match) => match[1])).toEqual(['b', 'a', 'c'])
  })

  it('keeps all rows in JSON and CSV when the page shows a few', () => {
    const report = compareReport({ rows, metrics, maxRows: 1 })
    expect(report.html).toContain('2 rows in between are left out')
    expect(JSON.parse(report.json).rows).toHaveLength(3)
    expect(report.csv).toContain(`"a ""quoted"", line\nand 山 🎈"`)
    expect(report.csv).toContain(`'=SUM(A1)`)
  })

  it('says better only when the corrected p value says so', () => {
    const many = Array.from({ length: 60 }, (_, i) => ({ id: i, outputs: { base: 'x', good: 'y', same: 'x' } }))
    const base = many.map((_, i) => (i % 3) / 10)
    const { summary, markdown } = compareReport({
      rows: many,
      metrics: [{ name: 'm', scores: { base, good: base.map((x, i) => x + 0.3 + (i % 2) / 50), same: base } }],
    })
    const verdicts = summary.metrics[0].systems.map(({ comparison }) => comparison?.verdict)
    expect(verdicts).toEqual([undefined, 'better', 'no clear difference'])
    expect(markdown).toContain('| m ↑ | good |')
  })

  it('warns when so few resamples can show nothing', () => {
    const report = compareReport({ rows, metrics, samples: 10 })
    expect(report.summary.warning).toMatch(/10 resamples are too few for 1 comparisons/)
    expect(report.html).toContain('Raise samples')
    expect(compareReport({ rows, metrics }).summary.warning).toBeNull()
  })

  it('works with one row, one system and no metrics', () => {
    const report = compareReport({ rows: [{ id: 1, outputs: { only: '' } }] })
    expect(report.html).toContain('<em>empty</em>')
    expect(report.summary).toMatchObject({ systems: ['only'], baseline: 'only', metrics: [] })
  })

  it('places the caller’s sections and leaves unscored rows out of the means', () => {
    const chart = lineChart({
      series: [
        {
          name: 'loss',
          points: [
            [0, 2],
            [1, 1],
          ],
        },
      ],
      title: 'Loss',
    })
    const report = compareReport({
      rows,
      metrics: [{ name: 'm', scores: { base: [1, Number.NaN, 0], tuned: [1, 1, 1] } }],
      sections: [{ title: 'Training', html: chart, markdown: 'see the page' }],
    })
    expect(report.html).toContain(chart)
    expect(report.markdown).toContain('## Training')
    expect(report.summary.metrics[0].systems[0]).toMatchObject({ score: 0.5, rows: 2 })
    expect(report.summary.metrics[0].systems[1].comparison?.difference).toBe(0.5)
    expect(JSON.parse(report.json).rows[1].scores.m.base).toBeNull()
  })

  it.each([
    [{ rows: [] }, /no rows/],
    [{ rows, baseline: 'other' }, /baseline "other" is none of base, tuned/],
    [{ rows, systems: ['base', 'third'] }, /no output of "third".*row 0/],
    [{ rows, metrics: [{ name: 'm', scores: { base: [1] } }] }, /1 scores for 3 rows.*metric m, base/],
    [{ rows, metrics, sortBy: 'n' }, /no metric "n".*Choose one of m/],
    [{ rows, titel: 'x' }, /did you mean "title"/],
  ])('refuses %#', (options, message) => {
    expect(() => compareReport(options as never)).toThrow(message)
  })
})

describe('wordDiff', () => {
  const show = (list: { text: string; changed: boolean }[]) =>
    list.map(({ text, changed }) => (changed ? `[${text}]` : text)).join('')

  it('marks the words that differ', () => {
    const { before, after } = wordDiff('the cat sat on the mat', 'the dog sat on a mat.')
    expect(show(before)).toBe('the [cat] sat on [the] mat')
    expect(show(after)).toBe('the [dog] sat on [a] mat[.]')
  })

  it.each([
    ['', ''],
    ['', 'new'],
    ['old words', ''],
    ['same', 'same'],
    ['a  b\n\nc 山川🎈', 'x a\tb c 🎈 '],
  ])('loses nothing of %j and %j', (a, b) => {
    const diff = wordDiff(a, b)
    expect(diff.before.map(({ text }) => text).join('')).toBe(a)
    expect(diff.after.map(({ text }) => text).join('')).toBe(b)
  })
})

describe('lineChart', () => {
  it('draws gaps, single points and nothing at all', () => {
    const svg = lineChart({
      series: [
        {
          name: 'a & b',
          points: [
            [0, 1],
            [1, Number.NaN],
            [2, 3],
            [3, 4],
          ],
        },
        {
          name: 'flat',
          points: [
            [0, 5],
            [3, 5],
          ],
        },
      ],
      title: 't < u',
    })
    expect(svg.match(/<polyline/g)).toHaveLength(2)
    expect(svg.match(/<circle/g)).toHaveLength(1)
    expect(svg).toContain('t &lt; u')
    expect(svg).toContain('prefers-color-scheme:dark')
    expect(lineChart({ series: [] })).not.toMatch(/NaN|Infinity/)
    expect(lineChart({ series: [{ name: 'one', points: [[7, 0]] }] })).not.toMatch(/NaN|Infinity/)
  })

  it('keeps a spike among many points', () => {
    const points = Array.from({ length: 50_000 }, (_, i) => [i, i === 31_234 ? 100 : 1] as [number, number])
    const svg = lineChart({ series: [{ name: 's', points }] })
    expect(svg.length).toBeLessThan(30_000)
    expect(svg).toMatch(/,40 |,40"/)
  })
})
