import { expect, it, describe as suite } from 'vitest'
import { Dataset } from '../dataset/dataset'
import { describe } from './describe'
import { histogramSvg, percentile, summarizeLengths } from './lengths'
import { findOverlap } from './overlap'
import { descriptionText } from './text'

suite('summarizeLengths', () => {
  it('gives mean and percentiles as numpy does', () => {
    const summary = summarizeLengths([4, 1, 3, 2])
    expect(summary).toMatchObject({ count: 4, total: 10, mean: 2.5, min: 1, max: 4 })
    expect(summary.percentiles[50]).toBe(2.5)
    expect(summary.percentiles[95]).toBeCloseTo(3.85, 12)
    expect(percentile([10], 99)).toBe(10)
    expect(summarizeLengths([])).toMatchObject({ count: 0, mean: 0, max: 0 })
  })

  it('counts every value in at most thirty bars', () => {
    for (const values of [[0], [3, 3, 3], [1, 1000], Array.from({ length: 5000 }, (_, i) => (i * i) % 4097)]) {
      const { histogram } = summarizeLengths(values)
      expect(histogram.counts.reduce((a, b) => a + b, 0)).toBe(values.length)
      expect(histogram.counts.length).toBeLessThanOrEqual(31)
      expect(histogram.start).toBeLessThanOrEqual(Math.min(...values))
    }
  })

  it('draws an SVG with a bar for each count, and escapes what it is told', () => {
    const summary = summarizeLengths([1, 2, 2, 9])
    const svg = histogramSvg(summary, { title: 'a < b & "c"', maxLength: 5 })
    expect(svg).toMatch(/^<svg xmlns="http:\/\/www\.w3\.org\/2000\/svg"/)
    expect(svg.match(/<rect /g)).toHaveLength(summary.histogram.counts.length)
    expect(svg).toContain('a &lt; b &amp; &quot;c&quot;')
    expect(svg).toContain('2 tokens: 2 rows')
    expect(svg).toContain('max 5')
    expect(svg).not.toMatch(/NaN|undefined|Infinity/)
    expect(histogramSvg(summarizeLengths([]))).not.toMatch(/NaN|Infinity/)
  })
})

suite('findOverlap', () => {
  const base = 'the quick brown fox jumps over the lazy dog and runs far away into the dark green forest tonight'

  it('finds exact and near-duplicates, and leaves the rest', () => {
    const others = ['something else entirely, about boats', base, base]
    const overlap = findOverlap(
      [` ${base.replace(' fox', '  fox')}`, `${base}!`, base.replace('tonight', 'today'), 'boats'],
      others,
    )
    expect(overlap).toMatchObject({ exact: 1, near: 2 })
    expect(overlap.pairs.map(({ row, other }) => [row, other])).toEqual([
      [0, 1],
      [1, 1],
      [2, 1],
    ])
    expect(overlap.pairs[2]!.similarity).toBeGreaterThan(0.8)
  })

  it('finds exactly the pairs over the threshold that comparing all pairs finds', () => {
    let seed = 1
    const next = (n: number) => {
      seed = (Math.imul(seed, 1103515245) + 12345) & 0x7fffffff
      return (seed >> 8) % n
    }
    const words = 'ash birch cedar elm fir hazel larch maple oak pine rowan willow'.split(' ')
    const make = () => Array.from({ length: 12 + next(6) }, () => words[next(words.length)]!)
    const seeds = Array.from({ length: 30 }, make)
    const variant = () => {
      const text = [...seeds[next(seeds.length)]!]
      for (let edits = next(4); edits > 0; edits--) text[next(text.length)] = words[next(words.length)]!
      return text.join(' ')
    }
    const texts = Array.from({ length: 120 }, variant)
    const others = Array.from({ length: 150 }, variant)
    const groups = (text: string) => {
      const list = text.split(' ')
      return new Set(list.slice(0, -2).map((_, i) => list.slice(i, i + 3).join(' ')))
    }
    const similarity = (a: string, b: string) => {
      const [x, y] = [groups(a), groups(b)]
      const common = [...x].filter((group) => y.has(group)).length
      return common / (x.size + y.size - common)
    }
    for (const threshold of [0.5, 0.8]) {
      const expected = texts.filter((text) => others.some((other) => similarity(text, other) >= threshold)).length
      const { exact, near } = findOverlap(texts, others, { threshold })
      expect(exact + near).toBe(expected)
      expect(near).toBeGreaterThan(0)
    }
  })
})

suite('describe', () => {
  const rows = Array.from({ length: 20 }, (_, i) => ({
    question: `What is thing number ${i % 19}?`,
    answer: i === 5 ? null : 'word '.repeat(i),
    source: i % 4 === 0 ? 'book' : 'web',
  }))
  const dataset = Dataset.fromRows([...rows, rows[1]!])

  it('counts nulls, duplicates, lengths, classes and overlap', async () => {
    const result = await describe(dataset, { maxLength: 20, against: Dataset.fromRows(rows.slice(0, 3)) })
    expect(result.rows).toBe(21)
    expect(result.columns[1]).toEqual({ name: 'answer', types: ['string'], nulls: 1, unique: 19 })
    expect([result.duplicates, result.incomplete]).toEqual([1, 2]) // an answer is null, another one empty
    expect(result.lengths.unit).toBe('words')
    expect(result.lengths.parts.prompt).toMatchObject({ mean: 5, count: 19 })
    expect(result.lengths.parts.completion!.max).toBe(19)
    expect(result.lengths.parts.total!.max).toBe(24)
    expect(result.exceeding).toEqual({ maxLength: 20, rows: 4 })
    expect(result.classes).toEqual([
      {
        column: 'source',
        counts: [
          { value: 'web', count: 16 },
          { value: 'book', count: 5 },
        ],
      },
    ])
    expect(result.overlap!.exact).toBe(3) // rows without an answer are no examples
    const text = descriptionText(result)
    expect(text).toMatch(/21 rows/)
    expect(text).toMatch(/repeated rows: 1 \(4\.8%\)/)
    expect(text).toMatch(/longer than 20 words: 4/)
  })

  it('counts with a tokenizer, and describes columns of no known format', async () => {
    const result = await describe(
      Dataset.fromRows([
        { a: 'xyz', n: 1 },
        { a: 'x', n: 2 },
      ]),
      { countTokens: (texts) => texts.map((text) => text.length) },
    )
    expect(result.format).toMatch(/No known format/)
    expect(result.lengths).toMatchObject({ unit: 'tokens', parts: { a: { mean: 2 } } })
    expect(descriptionText(await describe(Dataset.fromRows([])))).toMatch(/^0 rows/)
  })
})
