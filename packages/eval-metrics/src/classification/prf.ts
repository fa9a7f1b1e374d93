/** Precision, recall, their harmonic mean, and how many there were to find. */
export interface PrecisionRecallF1 {
  precision: number
  recall: number
  f1: number
  support: number
}

/** What a class never predicted, or never wanted, has for precision or recall: nothing divided by nothing. */
type ZeroDivision = 0 | 1

/** Predictions, wanted ones, and those that are both, of one class or of several added up. */
export interface Counts {
  correct: number
  predicted: number
  wanted: number
}

/** F1 is `2 correct / (predicted + wanted)`, as scikit-learn computes it. */
export function fromCounts({ correct, predicted, wanted }: Counts, zeroDivision: ZeroDivision = 0): PrecisionRecallF1 {
  const divide = (a: number, b: number) => (b === 0 ? zeroDivision : a / b)
  return {
    precision: divide(correct, predicted),
    recall: divide(correct, wanted),
    f1: divide(2 * correct, predicted + wanted),
    support: wanted,
  }
}

export interface Averages {
  /** Every row (or entity) counts alike: from the counts of all classes together. */
  micro: PrecisionRecallF1
  /** Every class counts alike. */
  macro: PrecisionRecallF1
  /** Every class counts by how many of it were wanted. */
  weighted: PrecisionRecallF1
}

/** The classes' scores and their averages; an average without any weight is `zeroDivision`. */
export function averages(
  counts: readonly Counts[],
  zeroDivision: ZeroDivision = 0,
): Averages & { classes: PrecisionRecallF1[] } {
  const classes = counts.map((count) => fromCounts(count, zeroDivision))
  const total = (key: keyof Counts) => counts.reduce((sum, count) => sum + count[key], 0)
  const all = { correct: total('correct'), predicted: total('predicted'), wanted: total('wanted') }
  const average = (weightOf: (scores: PrecisionRecallF1) => number): PrecisionRecallF1 => {
    const weights = classes.reduce((sum, scores) => sum + weightOf(scores), 0)
    const mean = (key: 'precision' | 'recall' | 'f1') =>
      weights === 0 ? zeroDivision : classes.reduce((sum, scores) => sum + scores[key] * weightOf(scores), 0) / weights
    return { precision: mean('precision'), recall: mean('recall'), f1: mean('f1'), support: all.wanted }
  }
  return {
    classes,
    micro: fromCounts(all, zeroDivision),
    macro: average(() => 1),
    weighted: average(({ support }) => support),
  }
}
