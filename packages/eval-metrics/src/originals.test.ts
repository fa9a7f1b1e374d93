import { describe, expect, it } from 'vitest'
import { exactMatch, normalizeAnswer, tokenF1 } from './answers/squad'
import { classificationReport } from './classification/classification'
import { entityF1 } from './entities/entity-f1'
import { rougeScore } from './rouge/rouge'
import { bleu, bleuMetric } from './sacrebleu/bleu'
import { chrf, chrfMetric } from './sacrebleu/chrf'
import { ter, terMetric } from './sacrebleu/ter'
import { bootstrapInterval, pairedBootstrap } from './significance/bootstrap'
import { correctPValues } from './significance/corrections'
import { normalQuantile } from './significance/normal'
import { pairedTest } from './significance/paired-test'
import { referencesFromStreams } from './strings/pairs'
import { originals } from './testing/originals'
import { camelKeys, close } from './testing/sacrebleu-golden'

// Our own texts and tables, so that parity is tested everywhere; the larger golden files have tests of their own.
describe('equals the Python originals', () => {
  it('ROUGE', () => {
    for (const { target, prediction, plain, stemmed } of originals.rouge)
      for (const [useStemmer, wanted] of [
        [false, plain],
        [true, stemmed],
      ] as const) {
        const rougeTypes = Object.keys(wanted) as 'rouge1'[]
        const scores = rougeScore({ prediction, reference: target, rougeTypes, useStemmer })
        for (const type of rougeTypes) {
          const { precision, recall, fmeasure } = scores[type] ?? { precision: 2, recall: 2, fmeasure: 2 }
          const [p, r, f] = wanted[type]
          const what = `${type} ${JSON.stringify([target, prediction])}`
          expect(Math.abs(precision - p) + Math.abs(recall - r) + Math.abs(fmeasure - f), what).toBeLessThan(1e-12)
        }
      }
  })

  it('BLEU, chrF and TER', () => {
    for (const { hypotheses, references, results } of originals.sacrebleu)
      for (const wanted of results) {
        const pairs = { predictions: hypotheses, references: referencesFromStreams(references) }
        const score = { BLEU: bleu, chrF: chrf, TER: ter }[wanted.metric] as typeof ter
        const result = score({ ...pairs, ...camelKeys(wanted.params) })
        const what = JSON.stringify([wanted.metric, wanted.params])
        expect(close(result.score, wanted.score), `${what} ${result.score} ${wanted.score}`).toBe(true)
        const { signature, short, text } = wanted
        expect(result, what).toMatchObject({ signature, signatureShort: short, text })
      }
  })

  it('paired tests', () => {
    for (const row of originals.paired) {
      const results = pairedTest({
        systems: row.systems.map(([name, predictions]) => ({ name, predictions })),
        references: referencesFromStreams(row.references),
        metrics: [
          bleuMetric({ smoothMethod: 'add-k', smoothValue: 0.5 }),
          chrfMetric({ epsSmoothing: row.epsSmoothing }),
          terMetric(),
        ],
        test: row.test === 'bs' ? 'bootstrap' : 'randomization',
        samples: row.samples,
        seed: row.seed,
        intervalSamples: row.intervals,
      })
      for (const { metric, signature, systems } of results) {
        expect(signature).toBe(row.signatures[metric])
        row.results[metric].forEach(([score, mean, ci, pValue], i) => {
          const what = `${metric} ${row.test} ${row.systems[i][0]}`
          expect(systems[i].pValue, what).toBe(pValue)
          expect(close(systems[i].score, score), what).toBe(true)
          if (mean === null) expect(systems[i]).toMatchObject({ mean: null, ci: null })
          else expect([close(systems[i].mean ?? 0, mean), close(systems[i].ci ?? 0, ci)], what).toEqual([true, true])
        })
      }
    }
  })

  it('classification', () => {
    for (const row of originals.classification) {
      const labels = row.labels ?? undefined
      const report = classificationReport({ predictions: row.predicted, references: row.wanted, labels })
      expect(report.labels).toEqual(row.shown)
      expect(report.confusion).toEqual(row.confusion)
      expect(report.accuracy).toBeCloseTo(row.accuracy, 12)
      const keys = ['precision', 'recall', 'f1', 'support'] as const
      report.classes.forEach((values, i) => {
        for (const [k, key] of keys.entries()) expect(values[key]).toBeCloseTo(row.classes[k][i], 12)
      })
      for (const kind of ['macro', 'micro', 'weighted'] as const)
        for (const [k, key] of keys.slice(0, 3).entries()) expect(report[kind][key]).toBeCloseTo(row[kind][k], 12)
      if (row.matthews === undefined) continue
      expect(report.matthews).toBeCloseTo(row.matthews, 12)
      expect(report.balancedAccuracy).toBeCloseTo(row.balanced ?? Number.NaN, 12)
      if (row.kappa === null) expect(report.kappa).toBeNaN()
      else expect(report.kappa).toBeCloseTo(row.kappa ?? Number.NaN, 12)
    }
  })

  it('SQuAD', () => {
    for (const { reference, prediction, exact, f1 } of originals.squad) {
      const pair = { predictions: [prediction], references: [reference] }
      const what = JSON.stringify([prediction, reference, normalizeAnswer(prediction)])
      expect(exactMatch(pair).rows[0], what).toBe(exact)
      expect(tokenF1(pair).rows[0], what).toBeCloseTo(f1, 12)
    }
  })

  it('entities', () => {
    for (const { wanted, predicted, counts } of originals.entities) {
      const scores = entityF1({ predictions: predicted, references: wanted })
      expect(Object.keys(scores.types)).toEqual(Object.keys(counts))
      for (const [type, [correct, found, all]] of Object.entries(counts)) {
        expect(scores.types[type].precision).toBeCloseTo(found === 0 ? 0 : correct / found, 12)
        expect(scores.types[type].recall).toBeCloseTo(all === 0 ? 0 : correct / all, 12)
        expect(scores.types[type].support).toBe(all)
      }
    }
  })

  it('NumPy and SciPy', () => {
    const { base, tuned, interval, paired, p, holm, bh, quantiles } = originals.statistics
    const options = { seed: 42, samples: 500, confidence: 0.9 }
    const { mean, low, high } = bootstrapInterval(base, options)
    const test = pairedBootstrap(base, tuned, options)
    const numbers = [mean, low, high, test.difference, test.low, test.high, test.pValue]
    const same = (ours: number[], theirs: number[]) => {
      for (const [i, x] of ours.entries()) expect(x).toBeCloseTo(theirs[i], 12)
    }
    same(numbers, [...interval, ...paired])
    same(correctPValues({ pValues: p }), holm)
    same(correctPValues({ pValues: p, method: 'benjaminiHochberg' }), bh)
    for (const [q, z] of quantiles)
      expect(Math.abs(normalQuantile(q) - z)).toBeLessThan(1e-12 * Math.max(1, Math.abs(z)))
  })
})
