import { describe, expect, it } from 'vitest'
import { Mt19937 } from '../random/mt19937'
import { golden, goldenBytes } from '../testing/shared'
import { porterStem } from './porter-stemmer'
import { rouge, rougeScore } from './rouge'
import { ROUGE_TYPES, type RougeScore, type RougeType } from './score'

type Triple = [number, number, number]
type Table = Record<string, Triple>
interface RougeGolden {
  pairs: { id: number; target: string; prediction: string; no_stem: Table; stem: Table }[]
  multi_reference: { targets: string[]; prediction: string; no_stem: Table; stem: Table }[]
  stems: [string, string][]
  bootstrap: {
    corpus: { target: string; prediction: string }[]
    runs: {
      use_stemmer: boolean
      n_samples: number
      confidence_interval: number
      numpy_seed: number
      rouge_types_order: RougeType[]
      result: Record<RougeType, { low: Triple; mid: Triple; high: Triple }>
      plain_mean: Table
    }[]
  }
}
const data = golden<RougeGolden>('rouge.json')
const rougeTypes: RougeType[] = ['rouge1', 'rouge2', 'rouge3', 'rougeL', 'rougeLsum']
const triple = (score?: RougeScore) => score && [score.precision, score.recall, score.fmeasure]

function expectClose(actual: number[] | undefined, wanted: number[], what: string) {
  expect(actual, what).toHaveLength(wanted.length)
  for (let i = 0; i < wanted.length; i++)
    expect(Math.abs((actual?.[i] ?? Number.NaN) - wanted[i]), `${what} ${i}`).toBeLessThan(1e-12)
}

describe.skipIf(!data)('against rouge_score', () => {
  it.each([false, true])('scores every pair, stemmer %s', (useStemmer) => {
    for (const pair of data?.pairs ?? []) {
      const scores = rougeScore({ prediction: pair.prediction, reference: pair.target, rougeTypes, useStemmer })
      const wanted = useStemmer ? pair.stem : pair.no_stem
      for (const type of rougeTypes) expectClose(triple(scores[type]), wanted[type], `pair ${pair.id} ${type}`)
    }
  })

  it.each([false, true])('takes the best of several references, stemmer %s', (useStemmer) => {
    for (const row of data?.multi_reference ?? []) {
      const scores = rougeScore({ prediction: row.prediction, reference: row.targets, rougeTypes, useStemmer })
      const wanted = useStemmer ? row.stem : row.no_stem
      for (const type of rougeTypes) expectClose(triple(scores[type]), wanted[type], type)
    }
  })

  it('stems every word', () => {
    for (const [word, stem] of data?.stems ?? []) expect(word.length > 3 ? porterStem(word) : word).toBe(stem)
  })

  it('draws the recorded resamples', () => {
    const recorded = goldenBytes('rouge_bootstrap.safetensors', 'indices_n200')
    const { corpus, runs } = data!.bootstrap
    const { numpy_seed, n_samples, rouge_types_order } = runs.find((run) => run.n_samples === 200)!
    const draws = rouge_types_order.length * n_samples * corpus.length
    expect(recorded!.data).toHaveLength(draws)
    expect(new Mt19937(numpy_seed).choice(corpus.length, draws)).toEqual(Uint32Array.from(recorded!.data))
  })

  it('aggregates with the same intervals', () => {
    const corpus = data?.bootstrap.corpus ?? []
    for (const run of data?.bootstrap.runs ?? []) {
      expect(ROUGE_TYPES).toEqual(expect.arrayContaining(run.rouge_types_order))
      const { mean, aggregate } = rouge({
        predictions: corpus.map((row) => row.prediction),
        references: corpus.map((row) => row.target),
        rougeTypes: run.rouge_types_order,
        useStemmer: run.use_stemmer,
        bootstrap: { samples: run.n_samples, confidence: run.confidence_interval, seed: run.numpy_seed },
      })
      for (const type of run.rouge_types_order) {
        for (const end of ['low', 'mid', 'high'] as const)
          expectClose(triple(aggregate?.[type]?.[end]), run.result[type][end], `${type} ${end}`)
        expectClose(triple(mean[type]), run.plain_mean[type], `${type} mean`)
      }
    }
  })
})
