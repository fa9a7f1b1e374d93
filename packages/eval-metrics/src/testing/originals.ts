import { readFileSync } from 'node:fs'

type Numbers = [score: number, mean: number | null, ci: number | null, pValue: number | null]

/** Shape of fixtures/originals.json; see make_originals.py beside it. */
export interface Originals {
  rouge: {
    target: string
    prediction: string
    plain: Record<string, [number, number, number]>
    stemmed: Record<string, [number, number, number]>
  }[]
  sacrebleu: {
    hypotheses: string[]
    references: (string | null)[][]
    results: { metric: string; params: object; score: number; text: string; signature: string; short: string }[]
  }[]
  paired: {
    references: string[][]
    systems: [string, string[]][]
    test: 'bs' | 'ar'
    samples: number
    intervals: number
    seed: number
    epsSmoothing: boolean
    signatures: Record<string, string>
    results: Record<string, Numbers[]>
  }[]
  classification: {
    wanted: (string | number)[]
    predicted: (string | number)[]
    labels: string[] | null
    shown: (string | number)[]
    classes: [number[], number[], number[], number[]]
    macro: [number, number, number]
    micro: [number, number, number]
    weighted: [number, number, number]
    accuracy: number
    confusion: number[][]
    matthews?: number
    balanced?: number
    kappa?: number | null
  }[]
  squad: { reference: string; prediction: string; exact: number; f1: number }[]
  entities: { wanted: string[][]; predicted: string[][]; counts: Record<string, [number, number, number]> }[]
  statistics: {
    base: number[]
    tuned: number[]
    interval: [number, number, number]
    paired: [number, number, number, number]
    p: number[]
    holm: number[]
    bh: number[]
    quantiles: [number, number][]
  }
}

export const originals = JSON.parse(
  readFileSync(new URL('../fixtures/originals.json', import.meta.url), 'utf8'),
) as Originals
