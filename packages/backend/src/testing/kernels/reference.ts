// The kernels' definitions in float64, written for clarity: what the fast ones are tested against.

type Numbers = ArrayLike<number>

/** A[m, k] B[k, n], either of them stored transposed. */
export function product(
  a: Numbers,
  b: Numbers,
  m: number,
  n: number,
  k: number,
  transposeA = false,
  transposeB = false,
) {
  const c = new Float64Array(m * n)
  for (let i = 0; i < m; i++)
    for (let j = 0; j < n; j++) {
      let sum = 0
      for (let p = 0; p < k; p++) sum += a[transposeA ? p * m + i : i * k + p]! * b[transposeB ? j * k + p : p * n + j]!
      c[i * n + j] = sum
    }
  return c
}

export function dropoutMask(size: number, rate: number, seed: number): Float64Array {
  const mask = new Float64Array(size)
  for (let i = 0; i < size; i++) {
    let h = (i + Math.imul(seed, 0x9e3779b9)) >>> 0
    h = Math.imul(h ^ (h >>> 16), 0x7feb352d) >>> 0
    h = Math.imul(h ^ (h >>> 15), 0x846ca68b) >>> 0
    h = (h ^ (h >>> 16)) >>> 0
    mask[i] = h >= Math.floor(rate * 2 ** 32) ? 1 / (1 - rate) : 0
  }
  return mask
}

export interface AttentionCase {
  tokens: number
  cuSeqlens: number[]
  kvStart?: number[]
  kvLength?: number[]
  numHeads: number
  numKvHeads: number
  headDim: number
  scale: number
  slidingWindow: number
  softcap: number
}

/** Probabilities of each query and head over its keys, and everything the gradient needs. */
export function attention(q: Numbers, k: Numbers, v: Numbers, c: AttentionCase, dout?: Numbers) {
  const { numHeads: H, numKvHeads: G, headDim: D, scale, slidingWindow: window, softcap } = c
  const out = new Float64Array(c.tokens * H * D)
  const lse = new Float64Array(c.tokens * H)
  const dq = new Float64Array(c.tokens * H * D)
  const dk = new Float64Array(k.length)
  const dv = new Float64Array(v.length)
  for (let s = 0; s + 1 < c.cuSeqlens.length; s++) {
    const queries = c.cuSeqlens[s + 1]! - c.cuSeqlens[s]!
    const base = c.kvStart?.[s] ?? c.cuSeqlens[s]!
    const shift = (c.kvLength?.[s] ?? queries) - queries
    for (let j = 0; j < queries; j++)
      for (let h = 0; h < H; h++) {
        const token = c.cuSeqlens[s]! + j
        const qAt = (token * H + h) * D
        const first = window > 0 ? Math.max(0, j + shift - window + 1) : 0
        const keys = Array.from({ length: j + shift + 1 - first }, (_, i) => base + first + i)
        const kvAt = (key: number) => (key * G + Math.floor((h * G) / H)) * D
        const slopes: number[] = []
        const scores = keys.map((key) => {
          let dot = 0
          for (let d = 0; d < D; d++) dot += q[qAt + d]! * k[kvAt(key) + d]!
          const raw = dot * scale
          const tanh = softcap > 0 ? Math.tanh(raw / softcap) : 0
          slopes.push(softcap > 0 ? 1 - tanh * tanh : 1)
          return softcap > 0 ? softcap * tanh : raw
        })
        const top = Math.max(...scores)
        const sum = scores.reduce((total, x) => total + Math.exp(x - top), 0)
        lse[token * H + h] = top + Math.log(sum)
        const p = scores.map((x) => Math.exp(x - top) / sum)
        keys.forEach((key, i) => {
          for (let d = 0; d < D; d++) out[qAt + d] = out[qAt + d]! + p[i]! * v[kvAt(key) + d]!
        })
        if (!dout) continue
        let delta = 0
        for (let d = 0; d < D; d++) delta += dout[qAt + d]! * out[qAt + d]!
        keys.forEach((key, i) => {
          let dp = 0
          for (let d = 0; d < D; d++) dp += dout[qAt + d]! * v[kvAt(key) + d]!
          const ds = p[i]! * (dp - delta) * slopes[i]! * scale
          for (let d = 0; d < D; d++) {
            dq[qAt + d] = dq[qAt + d]! + ds * k[kvAt(key) + d]!
            dk[kvAt(key) + d] = dk[kvAt(key) + d]! + ds * q[qAt + d]!
            dv[kvAt(key) + d] = dv[kvAt(key) + d]! + p[i]! * dout[qAt + d]!
          }
        })
      }
  }
  return { out, lse, dq, dk, dv }
}

export interface LossCase {
  tokens: number
  vocab: number
  hidden: number
  softcap: number
}

export function crossEntropy(x: Numbers, w: Numbers, bias: Numbers | undefined, labels: Numbers, c: LossCase) {
  const { tokens, vocab, hidden, softcap } = c
  const result = {
    loss: 0,
    nll: new Float64Array(tokens),
    entropy: new Float64Array(tokens),
    correct: new Float64Array(tokens),
    dHidden: new Float64Array(tokens * hidden),
    dWeight: new Float64Array(vocab * hidden),
  }
  const raw = product(x, w, tokens, vocab, hidden, false, true)
  for (let t = 0; t < tokens; t++) {
    const label = labels[t]!
    if (label < 0) continue
    const z = raw.subarray(t * vocab, (t + 1) * vocab)
    let top = Number.NEGATIVE_INFINITY
    for (let j = 0; j < vocab; j++) {
      const value = z[j]! + (bias?.[j] ?? 0)
      z[j] = softcap > 0 ? softcap * Math.tanh(value / softcap) : value
      top = Math.max(top, z[j]!)
    }
    let total = 0
    for (let j = 0; j < vocab; j++) total += Math.exp(z[j]! - top)
    const lse = top + Math.log(total)
    const p = z.map((value) => Math.exp(value - lse))
    const nll = lse - z[label]!
    result.loss += nll
    result.nll[t] = nll
    result.entropy[t] = -p.reduce((sum, value, j) => sum + (value > 0 ? value * (z[j]! - lse) : 0), 0)
    result.correct[t] = z.indexOf(top) === label ? 1 : 0
    for (let j = 0; j < vocab; j++) {
      const slope = softcap > 0 ? 1 - (z[j]! / softcap) ** 2 : 1
      const d = (p[j]! - (j === label ? 1 : 0)) * slope
      for (let i = 0; i < hidden; i++) {
        result.dHidden[t * hidden + i] = result.dHidden[t * hidden + i]! + d * w[j * hidden + i]!
        result.dWeight[j * hidden + i] = result.dWeight[j * hidden + i]! + d * x[t * hidden + i]!
      }
    }
  }
  return result
}
