import { invalidData } from '@tunesmith/core'
import { convexFusion, type Ranked } from './fusion'

/** A question and the ids of the documents that answer it. */
export interface LabelledQuestion {
  question: string
  documents: readonly string[]
}

export interface Fit {
  /** Of the dense score, 0 (words alone) to 1. */
  weight: number
  /** Mean reciprocal rank on the questions, for each weight that was tried. */
  curve: { weight: number; mrr: number }[]
}

/** What {@link fitWeight} asks of an index: both rankings, keyed by chunk, and the document of each chunk. */
export interface FitSource {
  rankings(question: string): Promise<{ bm25: Ranked[]; dense: Ranked[]; documentOf: (key: string) => string }>
}

const STEPS = 100

/**
 * The weight with the greatest mean reciprocal rank; in the middle of the longest run where several are best, which is where a few other
 * questions change least.
 *
 * @throws {TunesmithError} `invalid_data` for no questions, or one without documents.
 */
export async function fitWeight(source: FitSource, questions: readonly LabelledQuestion[]): Promise<Fit> {
  if (questions.length === 0) throw invalidData('There is no question to learn from', { where: 'fit' })
  const sums = new Float64Array(STEPS + 1)
  for (const [row, { question, documents }] of questions.entries()) {
    if (documents.length === 0) throw invalidData('The question has no documents', { where: `fit, question ${row}` })
    const wanted = new Set(documents)
    const { bm25, dense, documentOf } = await source.rankings(question)
    for (let step = 0; step <= STEPS; step++) {
      const found = [...new Set(convexFusion(bm25, dense, step / STEPS).map(({ key }) => documentOf(key)))]
      const rank = found.findIndex((id) => wanted.has(id))
      if (rank >= 0) sums[step]! += 1 / (rank + 1)
    }
  }
  const curve = Array.from(sums, (sum, step) => ({ weight: step / STEPS, mrr: sum / questions.length }))
  const best = Math.max(...curve.map(({ mrr }) => mrr))
  let run = { from: 0, length: 0 }
  for (let from = 0; from <= STEPS; from++) {
    let length = 0
    while (from + length <= STEPS && curve[from + length]!.mrr >= best - 1e-12) length++
    if (length > run.length) run = { from, length }
  }
  return { weight: (run.from + Math.floor((run.length - 1) / 2)) / STEPS, curve }
}
