/** The kernels' definitions in float64, written to be read; gradients come from differences of these. */
import { dropoutMask } from '../contract/dropout-mask'

export type Numbers = ArrayLike<number>

/** x `[tokens, in]` times the transpose of w `[out, in]`. */
export function timesTransposed(
  x: Numbers,
  w: Numbers,
  tokens: number,
  outFeatures: number,
  inFeatures: number,
): number[] {
  const y = new Array<number>(tokens * outFeatures).fill(0)
  for (let t = 0; t < tokens; t++)
    for (let o = 0; o < outFeatures; o++)
      for (let i = 0; i < inFeatures; i++) y[t * outFeatures + o]! += x[t * inFeatures + i]! * w[o * inFeatures + i]!
  return y
}

export function rmsNorm(x: Numbers, weight: Numbers, tokens: number, eps: number, offset: number): number[] {
  const hidden = weight.length
  return Array.from({ length: tokens }, (_, t) => {
    let square = 0
    for (let i = 0; i < hidden; i++) square += x[t * hidden + i]! ** 2
    const r = 1 / Math.sqrt(square / hidden + eps)
    return Array.from({ length: hidden }, (_, i) => x[t * hidden + i]! * r * (offset + weight[i]!))
  }).flat()
}

export function rotary(x: Numbers, positions: Numbers, frequencies: Numbers, headDim: number): number[] {
  const half = frequencies.length
  const width = x.length / positions.length
  return Array.from(x, (value, at) => {
    const position = positions[Math.floor(at / width)]!
    const i = (at % width) % headDim
    if (i >= 2 * half) return value
    const angle = Math.fround(position * frequencies[i % half]!)
    return i < half
      ? value * Math.cos(angle) - x[at + half]! * Math.sin(angle)
      : value * Math.cos(angle) + x[at - half]! * Math.sin(angle)
  })
}

export interface AttentionShape {
  cuSeqlens: number[]
  numHeads: number
  numKvHeads: number
  headDim: number
  scale: number
  slidingWindow: number
  softcap: number
}

export function attention(q: Numbers, k: Numbers, v: Numbers, c: AttentionShape): number[] {
  const { numHeads: H, numKvHeads: G, headDim: D } = c
  const out = new Array<number>(q.length).fill(0)
  for (let s = 0; s + 1 < c.cuSeqlens.length; s++)
    for (let t = c.cuSeqlens[s]!; t < c.cuSeqlens[s + 1]!; t++)
      for (let h = 0; h < H; h++) {
        const g = Math.floor((h * G) / H)
        const first = c.slidingWindow > 0 ? Math.max(c.cuSeqlens[s]!, t - c.slidingWindow + 1) : c.cuSeqlens[s]!
        const keys = Array.from({ length: t + 1 - first }, (_, i) => first + i)
        const scores = keys.map((key) => {
          let dot = 0
          for (let d = 0; d < D; d++) dot += q[(t * H + h) * D + d]! * k[(key * G + g) * D + d]!
          return c.softcap > 0 ? c.softcap * Math.tanh((dot * c.scale) / c.softcap) : dot * c.scale
        })
        const top = Math.max(...scores)
        const weights = scores.map((score) => Math.exp(score - top))
        const sum = weights.reduce((a, b) => a + b)
        keys.forEach((key, i) => {
          for (let d = 0; d < D; d++) out[(t * H + h) * D + d]! += (weights[i]! / sum) * v[(key * G + g) * D + d]!
        })
      }
  return out
}

export function swiglu(gate: Numbers, up: Numbers, activation: 'silu' | 'gelu_tanh'): number[] {
  return Array.from(gate, (g, i) => {
    const gelu = 0.5 * g * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (g + 0.044715 * g ** 3)))
    return (activation === 'silu' ? g / (1 + Math.exp(-g)) : gelu) * up[i]!
  })
}

export interface LoraShape {
  tokens: number
  inFeatures: number
  outFeatures: number
  r: number
  scaling: number
  dropout: number
  seed: number
}

export function loraLinear(x: Numbers, w: Numbers, a: Numbers, b: Numbers, c: LoraShape): number[] {
  const mask = c.dropout > 0 ? dropoutMask(x.length, c.dropout, c.seed) : undefined
  const dropped = Array.from(x, (value, i) => value * (mask ? mask[i]! : 1))
  const low = timesTransposed(dropped, a, c.tokens, c.r, c.inFeatures)
  const update = timesTransposed(low, b, c.tokens, c.outFeatures, c.r)
  return timesTransposed(x, w, c.tokens, c.outFeatures, c.inFeatures).map((y, i) => y + c.scaling * update[i]!)
}

export interface LossShape {
  tokens: number
  vocab: number
  hidden: number
  softcap: number
}

/** Summed negative log-likelihood of the labels. */
export function crossEntropy(x: Numbers, w: Numbers, labels: Numbers, c: LossShape): number {
  const logits = timesTransposed(x, w, c.tokens, c.vocab, c.hidden).map((z) =>
    c.softcap > 0 ? c.softcap * Math.tanh(z / c.softcap) : z,
  )
  let loss = 0
  for (let t = 0; t < c.tokens; t++) {
    if (labels[t]! < 0) continue
    const row = logits.slice(t * c.vocab, (t + 1) * c.vocab)
    const top = Math.max(...row)
    const lse = top + Math.log(row.reduce((sum, z) => sum + Math.exp(z - top), 0))
    loss += lse - row[labels[t]!]!
  }
  return loss
}
