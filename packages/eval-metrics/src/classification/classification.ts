import { parseOptions } from '@tunesmith/core'
import { z } from 'zod'
import { countLabels, type Label } from './confusion'
import { type Averages, averages, type PrecisionRecallF1 } from './prf'

const label = z.union([z.string(), z.number(), z.boolean()])
const schema = z.strictObject({
  /** One class per row. */
  predictions: z.array(label),
  references: z.array(label),
  /** The classes to report and average over, in order; default all that occur, sorted. */
  labels: z.array(label).min(1).optional(),
  /** Precision or recall of a class that was never predicted or never wanted. Default 0. */
  zeroDivision: z.union([z.literal(0), z.literal(1)]).default(0),
})
export type ClassificationOptions = z.input<typeof schema>

/** `micro` equals accuracy when `labels` has all classes. */
export interface ClassificationReport extends Averages {
  /** Share of rows whose prediction is the reference, whatever `labels` says. */
  accuracy: number
  labels: Label[]
  /** In the order of `labels`. */
  classes: (PrecisionRecallF1 & { label: Label })[]
  /** Mean recall of the classes that occur in the references. */
  balancedAccuracy: number
  /** Matthews correlation over `labels` (B. Matthews 1975; J. Gorodkin 2004 for several classes); 0 where undefined. */
  matthews: number
  /** Agreement beyond chance (J. Cohen 1960) over `labels`; NaN when chance alone would always agree. */
  kappa: number
  /** `confusion[wanted][predicted]`, both in the order of `labels`. */
  confusion: number[][]
}

/** Rows by what was wanted, by what was predicted, all of them, and those where the two agree. */
function marginsOf(matrix: readonly number[][]) {
  const wanted = matrix.map((row) => row.reduce((a, b) => a + b, 0))
  const predicted = matrix.map((_, j) => matrix.reduce((sum, row) => sum + row[j], 0))
  const total = wanted.reduce((a, b) => a + b, 0)
  return { wanted, predicted, total, correct: matrix.reduce((sum, row, i) => sum + row[i], 0) }
}

/** Gorodkin's R_K from a confusion matrix. */
function matthewsOf(matrix: readonly number[][]): number {
  const { wanted, predicted, total, correct } = marginsOf(matrix)
  const dot = (a: number[], b: number[]) => a.reduce((sum, x, i) => sum + x * b[i], 0)
  const product = (total ** 2 - dot(predicted, predicted)) * (total ** 2 - dot(wanted, wanted))
  return product === 0 ? 0 : (correct * total - dot(wanted, predicted)) / Math.sqrt(product)
}

/** Cohen's kappa from a confusion matrix; NaN when expected agreement is complete. */
export function kappaOf(matrix: readonly number[][]): number {
  const { wanted, predicted, total, correct } = marginsOf(matrix)
  const expected = wanted.reduce((sum, w, i) => sum + (w * predicted[i]) / total, 0)
  return total - expected === 0 ? Number.NaN : 1 - (total - correct) / (total - expected)
}

/**
 * Accuracy, precision, recall and F1 per class and averaged, Matthews correlation, Cohen's kappa and the confusion matrix.
 * The numbers are scikit-learn's.
 *
 * @throws {TunesmithError} `invalid_options`, or `invalid_data` for no rows or different counts.
 */
export function classificationReport(options: ClassificationOptions): ClassificationReport {
  const { predictions, references, labels, zeroDivision } = parseOptions(schema, options, 'classificationReport')
  const counted = countLabels(predictions, references, labels, 'classificationReport')
  const { classes, ...means } = averages(counted.counts, zeroDivision)
  const present = classes.filter(({ support }) => support > 0)
  return {
    accuracy: counted.correctRows / counted.rows,
    labels: counted.labels,
    classes: classes.map((scores, i) => ({ label: counted.labels[i], ...scores })),
    ...means,
    balancedAccuracy: present.reduce((sum, { recall }) => sum + recall, 0) / Math.max(1, present.length),
    matthews: matthewsOf(counted.matrix),
    kappa: kappaOf(counted.matrix),
    confusion: counted.matrix,
  }
}
