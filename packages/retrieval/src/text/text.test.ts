import { Random } from '@tunesmith/core'
import { describe, expect, it } from 'vitest'
import { createAnalyser } from './analyse'
import { chunkText, countWords, joinChunks } from './chunk'
import { createMask, MASKS, type MaskReport } from './mask'

describe('words', () => {
  it('are lower case, folded, and letters, digits and _ alone', () => {
    expect(createAnalyser()("Ménière's ﬁrst TNF-α_1 test: 5 µg")).toEqual([
      'meniere',
      's',
      'first',
      'tnf',
      'α_1',
      'test',
      '5',
      'μg',
    ])
    expect(createAnalyser({ fold: false })('Ménière')).toEqual(['ménière'])
  })

  it('are stems where asked, in English alone', () => {
    expect(createAnalyser({ stem: true })('studies of relational diseases')).toEqual(['studi', 'of', 'relat', 'diseas'])
    expect(() => createAnalyser({ stem: true, language: 'de' })).toThrow(/no stems for the language "de"/)
    expect(() => createAnalyser({ language: '!!' })).toThrow(/"!!" is not a language/)
  })

  it('are found in languages without blanks', () => {
    expect(createAnalyser({ language: 'zh' })('我们研究糖尿病。').length).toBeGreaterThan(2)
  })
})

/** Texts that mean harm to a chunker: structure in odd places, no blanks at all, characters of two units. */
function randomText(random: Random): string {
  const parts = [
    'word ',
    'Sentence ends. ',
    '\n',
    '\n\n',
    '# Heading\n',
    '   ',
    'x'.repeat(40),
    '😀',
    '\r\n',
    '. ',
    '汉字。',
    'a-b/c ',
  ]
  return Array.from({ length: random.int(60) }, () => random.pick(parts)).join('')
}

describe('chunks', () => {
  it('give any text back, end, move on, and stay within their size', () => {
    for (let seed = 0; seed < 400; seed++) {
      const random = new Random(seed)
      const text = randomText(random)
      const maxTokens = 1 + random.int(20)
      const overlap = random.int(maxTokens)
      const count = random.pick([countWords, (part: string) => part.length])
      const spans = chunkText(text, { maxTokens, overlap }, count)
      expect(joinChunks(text, spans)).toBe(text)
      spans.forEach(({ start, end }, i) => {
        expect(end).toBeGreaterThan(start)
        const before = spans[i - 1]
        if (before) {
          expect(start).toBeLessThanOrEqual(before.end)
          expect(start).toBeGreaterThan(before.start)
          expect(end).toBeGreaterThan(before.end)
        }
        const part = text.slice(start, end)
        expect(part).not.toMatch(/^[\udc00-\udfff]|[\ud800-\udbff]$/)
        // One character may count more than a chunk holds; blank space is joined to the chunk before it.
        if ([...part].length > 1 && count === countWords) expect(count(part)).toBeLessThanOrEqual(maxTokens)
      })
    }
  })

  it('begin at headings, and repeat whole sentences', () => {
    const text = '# One\nFirst part here is long enough.\n# Two\nAlpha beta. Gamma delta. Epsilon zeta. Eta theta.'
    const spans = chunkText(text, { maxTokens: 10, overlap: 4 })
    const parts = spans.map(({ start, end }) => text.slice(start, end))
    expect(parts[0]).toBe('# One\nFirst part here is long enough.\n')
    expect(parts[1]).toBe('# Two\nAlpha beta. Gamma delta. ')
    expect(parts[2]).toBe('Gamma delta. Epsilon zeta. Eta theta.')
  })

  it('cut a megabyte without a blank quickly enough', () => {
    const text = '漢'.repeat(300_000)
    expect(
      joinChunks(
        text,
        chunkText(text, { maxTokens: 100, overlap: 10 }, (part) => part.length),
      ),
    ).toBe(text)
  })
})

it('masks what was asked, and counts it', () => {
  const report: MaskReport = { documents: 0, counts: {} }
  const mask = createMask(Object.values(MASKS), report)
  expect(
    mask(
      'Dr. Anna B. Smith saw Mrs Jones on 3 March 2020 and 2021-04-05; call +44 20 7946 0958, a.b@c.org. Dose 5 mg.',
    ),
  ).toBe('Dr. [NAME] saw Mrs [NAME] on [DATE] and [DATE]; call [NUMBER], [EMAIL]. Dose 5 mg.')
  expect(report).toEqual({ documents: 1, counts: { name: 2, date: 2, number: 1, email: 1 } })
  expect(() => createMask([{ kind: 'x', pattern: /x/ }], report)).toThrow(/has no flag g/)
})
