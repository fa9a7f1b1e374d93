import { invalidOptions, parseOptions, Random, TunesmithError } from '@tunesmith/core'
import { z } from 'zod'
import { float32Array } from '../floats'
import { type Columns, jacobiSvd, orthonormalize, times, timesTransposed } from './columns'

const svdOptions = z.strictObject({
  /** `[rows, columns]`, row-major. */
  matrix: float32Array,
  rows: z.int().positive(),
  columns: z.int().positive(),
  /** How many singular values to find, the largest first. */
  rank: z.int().positive(),
  /** Extra directions the random search carries along. Default: the rank, at least 10. */
  oversampling: z.int().nonnegative().optional(),
  /** Rounds of multiplying by the matrix and its transpose; more separate close singular values better. Default 6. */
  powerIterations: z.int().nonnegative().default(6),
  /** Of the random start. Default 0. */
  seed: z.int().default(0),
})

/** A matrix close to `u diag(s) vt`. */
export interface Svd {
  /** `[rows, rank]`, row-major; orthonormal columns, some of them zero when the matrix has a lower rank. */
  u: Float32Array
  /** `[rank]`, descending. */
  s: Float32Array
  /** `[rank, columns]`, row-major. */
  vt: Float32Array
}

/** Up to this size of the smaller side the decomposition is exact, not randomized. */
const EXACT_SIZE = 160

/**
 * The largest singular values of a matrix and their vectors, in double precision inside.
 *
 * Small matrices: QR, then one-sided Jacobi (Demmel and Veselic 1992). Others: the range is found by a random start and
 * power iterations (Halko, Martinsson, Tropp 2011, algorithm 4.4), and what the matrix does inside it is decomposed as
 * above. The same seed gives the same result.
 *
 * @throws {TunesmithError} `invalid_options`; `numerical` for a matrix with NaN or infinities.
 */
export function truncatedSvd(options: z.input<typeof svdOptions>): Svd {
  const where = 'truncatedSvd'
  const { matrix, rows, columns, rank, powerIterations, seed, ...rest } = parseOptions(svdOptions, options, where)
  const smaller = Math.min(rows, columns)
  if (matrix.length !== rows * columns || rank > smaller)
    throw invalidOptions(`rank ${rank} of ${matrix.length} elements as [${rows}, ${columns}]`, {
      where,
      remedy: 'Pass rows x columns elements and a rank of at most the smaller of the two',
    })
  if (!matrix.every(Number.isFinite))
    throw new TunesmithError('the matrix has NaN or infinite elements', { code: 'numerical', where })

  const width = Math.min(smaller, rank + (rest.oversampling ?? Math.max(10, rank)))
  let basis: Columns
  if (smaller <= EXACT_SIZE || width === smaller) {
    // The whole space on the smaller side: unit vectors when that is the rows, the matrix' own columns otherwise.
    const unit = Array.from({ length: smaller }, (_, i) => new Float64Array(smaller).fill(1, i, i + 1))
    basis = rows <= columns ? unit : orthonormalize(times(matrix, rows, unit)).q
  } else {
    const random = new Random(seed, 'svd')
    const start = Array.from({ length: width }, () => Float64Array.from({ length: columns }, () => random.normal()))
    basis = orthonormalize(times(matrix, rows, start)).q
    for (let i = 0; i < powerIterations; i++) {
      const back = orthonormalize(timesTransposed(matrix, columns, basis)).q
      basis = orthonormalize(times(matrix, rows, back)).q
    }
  }
  // matrix ~ basis (matrix^T basis)^T, and matrix^T basis = q r = q (left diag(s) right^T).
  const { q, r } = orthonormalize(timesTransposed(matrix, columns, basis))
  const { left, s, right } = jacobiSvd(r)

  const u = new Float32Array(rows * rank)
  const vt = new Float32Array(rank * columns)
  for (let k = 0; k < rank; k++) {
    combine(basis, right[k]!).forEach((x, i) => {
      u[i * rank + k] = x
    })
    vt.set(combine(q, left[k]!), k * columns)
  }
  return { u, s: Float32Array.from(s.subarray(0, rank)), vt }
}

/** The sum of the columns, each times its weight. */
function combine(columns: Columns, weights: Float64Array): Float64Array {
  const sum = new Float64Array(columns[0]!.length)
  columns.forEach((column, k) => {
    const weight = weights[k]!
    for (let i = 0; i < sum.length; i++) sum[i]! += weight * column[i]!
  })
  return sum
}
