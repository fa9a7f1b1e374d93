import { invalidData } from '@tunesmith/core'
import type { Counts } from './prf'

/** A class name or number. */
export type Label = string | number | boolean

/** Numbers by size, then texts by code point, as NumPy sorts them. */
function compareLabels(a: Label, b: Label): number {
  if (typeof a !== 'string' && typeof b !== 'string') return Number(a) - Number(b)
  if (typeof a !== typeof b) return typeof a === 'string' ? 1 : -1
  const [x, y] = [Array.from(String(a)), Array.from(String(b))]
  const at = x.findIndex((character, i) => character !== y[i])
  if (at === -1) return x.length - y.length
  return (x[at].codePointAt(0) ?? -1) - (y[at]?.codePointAt(0) ?? -1)
}

interface Confusion {
  labels: Label[]
  /** `matrix[wanted][predicted]`: rows whose reference is the one label and whose prediction is the other. */
  matrix: number[][]
  /** Per label. */
  counts: Counts[]
  rows: number
  correctRows: number
}

/**
 * Counts predictions against references.
 *
 * @param labels the classes to report and their order; default all that occur, sorted.
 * @throws {TunesmithError} `invalid_data` for no rows or different counts.
 */
export function countLabels(
  predictions: readonly Label[],
  references: readonly Label[],
  labels: readonly Label[] | undefined,
  where: string,
): Confusion {
  if (predictions.length !== references.length || predictions.length === 0) {
    throw invalidData(`${predictions.length} predictions and ${references.length} references`, {
      where,
      remedy: 'Give one reference per prediction, and at least one',
    })
  }
  const shown = labels ? [...labels] : [...new Set([...references, ...predictions])].sort(compareLabels)
  const index = new Map(shown.map((label, i) => [label, i]))
  const confusion: Confusion = {
    labels: shown,
    matrix: shown.map(() => new Array<number>(shown.length).fill(0)),
    counts: shown.map(() => ({ correct: 0, predicted: 0, wanted: 0 })),
    rows: predictions.length,
    correctRows: 0,
  }
  predictions.forEach((prediction, row) => {
    const p = index.get(prediction)
    const w = index.get(references[row])
    if (prediction === references[row]) {
      confusion.correctRows++
      if (p !== undefined) confusion.counts[p].correct++
    }
    if (p !== undefined) confusion.counts[p].predicted++
    if (w !== undefined) confusion.counts[w].wanted++
    if (p !== undefined && w !== undefined) confusion.matrix[w][p]++
  })
  return confusion
}
