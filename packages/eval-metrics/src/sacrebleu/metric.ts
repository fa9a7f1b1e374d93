import type { ResampleNote, Signature } from './signature'

/**
 * In which arithmetic a score is computed from its sums. sacrebleu works on Python numbers (`float64`), on NumPy float32
 * in its bootstrap, and on NumPy integers in its randomization test; p values are equal only if ours does the same.
 */
export type Arithmetic = 'float64' | 'float32' | 'int64'

/** A score that depends on a whole corpus through sums over its rows, so that resampling needs no second pass. */
export interface CorpusMetric {
  /** As sacrebleu names it: `BLEU`, `chrF2++`, `TER`. */
  name: string
  /** False for error rates. */
  higherIsBetter: boolean
  /** One row's counts; a corpus' counts are the sums over its rows. */
  statistics(prediction: string, references: readonly string[]): number[]
  /** The score, 0 to 100 (TER may exceed 100), from summed counts. */
  score(sums: ArrayLike<number>, arithmetic?: Arithmetic): number
  /** Whether NumPy would hold the float32 score as a float32 too, which decides how it averages; default no. */
  staysSingle?(sums: ArrayLike<number>): boolean
  signature(references: readonly (readonly string[])[], note?: ResampleNote): Signature
}

/** Adds the rows' counts up. */
export function sumRows(rows: readonly (readonly number[])[]): number[] {
  const sums = new Array<number>(rows[0].length).fill(0)
  for (const row of rows) for (let i = 0; i < sums.length; i++) sums[i] += row[i]
  return sums
}
