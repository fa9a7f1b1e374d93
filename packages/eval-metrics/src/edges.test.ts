import { Random } from '@tunesmith/core'
import { describe, expect, it } from 'vitest'
import { classificationReport } from './classification/classification'
import { rouge, rougeScore } from './rouge/rouge'
import { splitSentences } from './rouge/sentences'
import { bleu, bleuMetric, sentenceBleu } from './sacrebleu/bleu'
import { chrf } from './sacrebleu/chrf'
import type { CorpusMetric } from './sacrebleu/metric'
import { ter, terMetric } from './sacrebleu/ter'
import { bootstrapInterval, pairedBootstrap, pairedRandomization } from './significance/bootstrap'
import { correctPValues } from './significance/corrections'
import { pairedTest } from './significance/paired-test'
import { sampleSize } from './significance/sample-size'
import { referencesFromStreams } from './strings/pairs'
import { formatFixed, splitWhitespace } from './strings/python'

describe('empty, single and mismatched inputs', () => {
  const empty = { predictions: [''], references: [''] }

  it('scores empty texts as the originals do', () => {
    expect(rouge(empty).mean.rougeLsum).toEqual({ precision: 0, recall: 0, fmeasure: 0 })
    expect([bleu(empty).score, chrf(empty).score, ter(empty).score]).toEqual([0, 0, 0])
    expect(bleu({ predictions: [''], references: ['some words'] })).toMatchObject({
      score: 0,
      bp: 0,
      sysLen: 0,
      refLen: 2,
    })
    expect(ter({ predictions: ['some words'], references: [''] })).toMatchObject({
      score: 100,
      numEdits: 2,
      refLength: 0,
    })
  })

  it('works on one row, with intervals of no width', () => {
    const pairs = { predictions: ['one small row here'], references: [['one row here', 'a small row here']] }
    const { interval, score } = bleu({ ...pairs, bootstrap: { samples: 10 } })
    expect(interval?.ci).toBe(0)
    expect(interval?.mean).toBeCloseTo(score, 3)
    const { aggregate, mean } = rouge({ ...pairs, rougeTypes: ['rouge1'], bootstrap: true })
    expect(aggregate?.rouge1?.low).toEqual(mean.rouge1)
    expect(sentenceBleu({ prediction: 'a', reference: ['b', 'a'] }).score).toBeCloseTo(100, 9)
  })

  it.each([
    [() => rouge({ predictions: ['a'], references: ['a', 'b'] }), /1 predictions but 2 rows.*rouge/],
    [() => bleu({ predictions: [], references: [] }), /nothing to score/],
    [() => chrf({ predictions: ['a', 'b'], references: ['a', [null]] }), /no reference.*row 1/],
    [() => ter({ predictions: ['a'], references: [[]] }), /no reference.*row 0/],
    [() => bleu({ predictions: ['a'], references: ['a'], tokenise: 'zh' } as never), /did you mean "tokenize"/],
    [() => bleu({ predictions: ['a'], references: ['a'], tokenize: 'ja-mecab' as never }), /tokenize/],
    [() => rouge({ predictions: ['a'], references: ['a'], rougeTypes: ['rouge10' as never] }), /rougeTypes/],
    [() => referencesFromStreams([['a', 'b'], ['c']]), /stream 1 has 1 rows, the first has 2/],
    [() => classificationReport({ predictions: ['a'], references: [] }), /1 predictions and 0 references/],
    [() => pairedBootstrap([1, 2], [1]), /2 base scores but 1 tuned/],
    [() => bootstrapInterval([1, Number.NaN]), /score is NaN.*row 1/],
    [() => pairedRandomization([], []), /No scores/],
    [() => sampleSize({ difference: 1 }), /either standardDeviation, or/],
    [() => sampleSize({ difference: 1, baseScores: [1, 2], tunedScores: [1] }), /2 base and 1 tuned/],
    [
      () =>
        pairedTest({
          systems: [
            { name: 'a', predictions: ['x'] },
            { name: 'b', predictions: [] },
          ],
          references: ['x'],
          metrics: [bleuMetric()],
        }),
      /0 predictions but 1 rows.*pairedTest, b/,
    ],
  ])('refuses %#', (call, message) => {
    expect(call).toThrow(message)
  })
})

describe('significance of per-row scores', () => {
  const base = Array.from({ length: 40 }, (_, i) => (i % 7) / 7)
  const better = base.map((x, i) => x + 0.2 + (i % 3) / 30)

  it('tells a clear difference from none', () => {
    for (const test of [pairedBootstrap, pairedRandomization]) {
      const clear = test(base, better, { samples: 500 })
      expect(clear.pValue).toBe(1 / 501)
      expect(clear.low).toBeGreaterThan(0.19)
      expect(clear.high).toBeLessThan(0.3)
      expect(test(base, base)).toEqual({ difference: 0, low: 0, high: 0, pValue: 1 })
      expect(test(base, better)).toEqual(test(base, better))
      const back = test(better, base, { samples: 500 })
      expect([back.difference, back.pValue]).toEqual([-clear.difference, clear.pValue])
    }
  })

  it('covers the true mean about as often as it says', () => {
    let covered = 0
    const random = new Random(3)
    for (let run = 0; run < 200; run++) {
      const scores = Array.from({ length: 50 }, () => random.uniform())
      const { low, high } = bootstrapInterval(scores, { samples: 200, seed: run })
      if (low <= 0.5 && high >= 0.5) covered++
    }
    expect(covered).toBeGreaterThan(180)
  })

  it('tests any metric of one’s own', () => {
    const words: CorpusMetric = {
      name: 'words per row',
      higherIsBetter: true,
      statistics: (prediction) => [prediction.split(' ').length, 1],
      score: (sums) => sums[0] / sums[1],
      signature: () => ({ signature: 'words', signatureShort: 'w' }),
    }
    const [result] = pairedTest({
      systems: [
        { name: 'short', predictions: Array(20).fill('one two') },
        { name: 'long', predictions: Array(20).fill('one two three') },
      ],
      references: Array(20).fill(''),
      metrics: [words],
      test: 'randomization',
      samples: 500,
    })
    expect(result.systems[1]).toMatchObject({ score: 3, mean: null })
    expect(result.systems[1].pValue).toBeLessThan(0.05)
  })

  it('corrects p values and plans sample sizes', () => {
    expect(correctPValues({ pValues: [0.01, 0.04, 0.03] })).toEqual([0.03, 0.06, 0.06])
    expect(correctPValues({ pValues: [0.01, 0.4], method: 'bonferroni' })).toEqual([0.02, 0.8])
    expect(correctPValues({ pValues: [] })).toEqual([])
    // ((1.95996 + 0.84162) / 0.5)^2 = 31.4
    expect(sampleSize({ difference: 0.5, standardDeviation: 1 }).rows).toBe(32)
    expect(sampleSize({ difference: 0.5, standardDeviation: 1, comparisons: 5 }).rows).toBeGreaterThan(32)
    const pilot = { baseScores: [0, 0, 0, 0], tunedScores: [1, -1, 1, -1] }
    expect(sampleSize({ difference: 0.5, ...pilot }).standardDeviation).toBeCloseTo(Math.sqrt(4 / 3), 12)
    expect(terMetric().higherIsBetter).toBe(false)
  })
})

describe('Python’s text rules', () => {
  it('splits at Python’s white space', () => {
    expect(splitWhitespace('a\x1cb\x85c\u3000d\ufeffe')).toEqual(['a', 'b', 'c', 'd\ufeffe'])
    expect([splitWhitespace(''), splitWhitespace('  '), splitWhitespace(' a  b ')]).toEqual([[], [], ['a', 'b']])
  })

  it('rounds ties to even', () => {
    expect([0.125, 0.375, 2.5, -0.125, 1.005, 1e22].map((x) => formatFixed(x, 2))).toEqual([
      '0.12',
      '0.38',
      '2.50',
      '-0.12',
      '1.00',
      '1e+22',
    ])
    expect([formatFixed(0.5, 0), formatFixed(1.5, 0), formatFixed(6.25, 1)]).toEqual(['0', '2', '6.2'])
  })
})

describe('splitSentences', () => {
  it.each([
    ['Dr. Smith paid $3.50 for it. Was it J. R. Doe? "Yes!" she said.', 3],
    ['See Fig. 3 and e.g. the table. It ended at 5 p.m. Then we left...', 3],
    ['one line\nwithout an end', 1],
    ['  ', 0],
    ['He asked “why?” He left.', 2],
  ])('%j has %i', (text, count) => {
    const sentences = splitSentences(text)
    expect(sentences).toHaveLength(count)
    expect(sentences.join('').replace(/\s/g, '')).toBe(text.replace(/\s/g, ''))
  })

  it('lets rougeLsum ignore line breaks', () => {
    const options = { rougeTypes: ['rougeLsum' as const], splitSummaries: true }
    const reference = 'The cat sat. The dog ran.'
    const prediction = 'The dog ran. The cat sat.'
    expect(rougeScore({ prediction, reference, ...options }).rougeLsum?.fmeasure).toBe(1)
    expect(rougeScore({ prediction, reference, rougeTypes: ['rougeLsum'] }).rougeLsum?.fmeasure).toBeLessThan(1)
  })
})
