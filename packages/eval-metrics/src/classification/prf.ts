/** Precision, recall, their harmonic mean, and how many there were to find. */
export interface PrecisionRecallF1 {
  precision: number
  recall: number
  f1: number
  support: number
}

/** What a class never predicted, or never wanted, has for precision or recall: nothing divided by nothing. */
export type ZeroDivision = 0 | 1

/** From counts of one class, or of several added up. F1 as `2 tp / (predicted + wanted)`, as scikit-learn computes it. */
export function fromCounts(
  correct: number,
  predicted: number,
  wanted: number,
  zeroDivision: ZeroDivision = 0,
): PrecisionRecallF1 {
  const divide = (a: number, b: number) => (b === 0 ? zeroDivision : a / b)
  return {
    precision: divide(correct, predicted),
    recall: divide(correct, wanted),
    f1: divide(2 * correct, predicted + wanted),
    support: wanted,
  }
}

/** Averages over classes, every class counting `weights[i]`; without any weight the value is `zeroDivision`. */
export function average(
  classes: readonly PrecisionRecallF1[],
  weights: readonly number[],
  zeroDivision: ZeroDivision = 0,
): PrecisionRecallF1 {
  const total = weights.reduce((sum, weight) => sum + weight, 0)
  const mean = (key: 'precision' | 'recall' | 'f1') =>
    total === 0 ? zeroDivision : classes.reduce((sum, c, i) => sum + c[key] * weights[i], 0) / total
  const support = classes.reduce((sum, c) => sum + c.support, 0)
  return { precision: mean('precision'), recall: mean('recall'), f1: mean('f1'), support }
}
