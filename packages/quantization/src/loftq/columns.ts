/** A tall matrix as a list of its columns, double precision. */
export type Columns = Float64Array[]

/** `matrix x`, with `matrix` row-major `[rows, n]` and `x` n-long columns. Four columns at a time share each load. */
export function times(matrix: Float32Array, rows: number, x: Columns): Columns {
  const n = x[0]!.length
  const out = x.map(() => new Float64Array(rows))
  for (let k = 0; k < x.length; k += 4) {
    const [x0, x1, x2, x3] = fourOf(x, k)
    const [y0, y1, y2, y3] = fourOf(out, k)
    for (let i = 0; i < rows; i++) {
      let [s0, s1, s2, s3] = [0, 0, 0, 0]
      for (let j = 0, at = i * n; j < n; j++, at++) {
        const a = matrix[at]!
        s0 += a * x0[j]!
        s1 += a * x1[j]!
        s2 += a * x2[j]!
        s3 += a * x3[j]!
      }
      y3[i] = s3
      y2[i] = s2
      y1[i] = s1
      y0[i] = s0
    }
  }
  return out
}

/** Columns k to k + 3; beyond the last, the last again (the same value is then computed and written twice). */
function fourOf(columns: Columns, k: number): [Float64Array, Float64Array, Float64Array, Float64Array] {
  const at = (i: number) => columns[Math.min(i, columns.length - 1)]!
  return [at(k), at(k + 1), at(k + 2), at(k + 3)]
}

/** `matrix^T x`, with `matrix` row-major `[m, columns]` and `x` m-long columns. Four rows at a time share each store. */
export function timesTransposed(matrix: Float32Array, columns: number, x: Columns): Columns {
  const m = x[0]!.length
  return x.map((weights) => {
    const out = new Float64Array(columns)
    let i = 0
    for (; i + 4 <= m; i += 4) {
      const [w0, w1, w2, w3] = [weights[i]!, weights[i + 1]!, weights[i + 2]!, weights[i + 3]!]
      const [r0, r1, r2, r3] = [i * columns, (i + 1) * columns, (i + 2) * columns, (i + 3) * columns]
      for (let j = 0; j < columns; j++)
        out[j]! += w0 * matrix[r0 + j]! + w1 * matrix[r1 + j]! + w2 * matrix[r2 + j]! + w3 * matrix[r3 + j]!
    }
    for (; i < m; i++) for (let j = 0; j < columns; j++) out[j]! += weights[i]! * matrix[i * columns + j]!
    return out
  })
}

export function dot(a: Float64Array, b: Float64Array): number {
  let [s0, s1] = [0, 0]
  let i = 0
  for (; i + 2 <= a.length; i += 2) {
    s0 += a[i]! * b[i]!
    s1 += a[i + 1]! * b[i + 1]!
  }
  return i < a.length ? s0 + s1 + a[i]! * b[i]! : s0 + s1
}

/**
 * QR by Gram-Schmidt, each column twice (twice is enough: Giraud et al. 2005): `x = q r`.
 *
 * A column that depends on the ones before becomes zero, with a zero on r's diagonal.
 *
 * @returns `q` in the memory of `x`; `r` as columns, upper triangular.
 */
export function orthonormalize(x: Columns): { q: Columns; r: Columns } {
  const r = x.map(() => new Float64Array(x.length))
  x.forEach((column, k) => {
    const before = Math.sqrt(dot(column, column))
    for (let round = 0; round < 2; round++)
      for (let p = 0; p < k; p++) {
        const other = x[p]!
        const share = dot(other, column)
        r[k]![p]! += share
        for (let i = 0; i < column.length; i++) column[i]! -= share * other[i]!
      }
    const norm = Math.sqrt(dot(column, column))
    if (norm <= 1e-14 * before) column.fill(0)
    else {
      r[k]![k] = norm
      for (let i = 0; i < column.length; i++) column[i]! /= norm
    }
  })
  return { q: x, r }
}

/**
 * The singular value decomposition of a square matrix given as columns: one-sided Jacobi rotates pairs of columns until
 * all are orthogonal; their norms are the singular values.
 *
 * @returns `matrix = left diag(s) right^T`, s descending; left and right as columns.
 */
export function jacobiSvd(matrix: Columns): { left: Columns; s: Float64Array; right: Columns } {
  const n = matrix.length
  const x = matrix.map((column) => column.slice())
  const v = x.map((_, k) => new Float64Array(n).fill(1, k, k + 1))
  const rotate = (a: Float64Array, b: Float64Array, cosine: number, sine: number) => {
    for (let i = 0; i < a.length; i++) {
      const [p, q] = [a[i]!, b[i]!]
      a[i] = cosine * p - sine * q
      b[i] = sine * p + cosine * q
    }
  }
  for (let sweep = 0, rotated = true; rotated && sweep < 60; sweep++) {
    rotated = false
    for (let p = 0; p < n; p++)
      for (let q = p + 1; q < n; q++) {
        const [a, b] = [x[p]!, x[q]!]
        const [alpha, beta, gamma] = [dot(a, a), dot(b, b), dot(a, b)]
        if (Math.abs(gamma) <= 1e-15 * Math.sqrt(alpha * beta)) continue
        rotated = true
        const zeta = (beta - alpha) / (2 * gamma)
        const tangent = (zeta < 0 ? -1 : 1) / (Math.abs(zeta) + Math.hypot(1, zeta))
        const cosine = 1 / Math.hypot(1, tangent)
        rotate(a, b, cosine, cosine * tangent)
        rotate(v[p]!, v[q]!, cosine, cosine * tangent)
      }
  }
  const norms = x.map((column) => Math.sqrt(dot(column, column)))
  const order = [...norms.keys()].sort((a, b) => norms[b]! - norms[a]! || a - b)
  const left = order.map((k) => x[k]!.map((value) => (norms[k]! > 0 ? value / norms[k]! : 0)))
  return { left, s: Float64Array.from(order, (k) => norms[k]!), right: order.map((k) => v[k]!) }
}
