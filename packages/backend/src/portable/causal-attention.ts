import * as tf from '@tensorflow/tfjs-core'
import type { KernelAttrs, KernelInputs } from '../contract/kernels'
import { portable } from './register'

type Attrs = KernelAttrs<'CausalAttention'>
type Inputs = KernelInputs<'CausalAttention', tf.Tensor>
type GradInputs = KernelInputs<'CausalAttentionGrad', tf.Tensor>

/** Queries handled at a time: bounds the scores held at once to `heads * 256 * keys`. */
const QUERY_CHUNK = 256
/** Stands for minus infinity in masks: finite, so that no backend makes NaN of it. */
const MASKED = -1e30

/** Some consecutive queries of one sequence and the keys they may see. */
interface Chunk {
  queryStart: number
  queryEnd: number
  keyStart: number
  keyEnd: number
  /** float32 `[queries, keys]`, 0 where visible. */
  mask: tf.Tensor2D
}

function forEachChunk(
  inputs: Pick<Inputs, 'cuSeqlens' | 'kvStart' | 'kvLength'>,
  { slidingWindow }: Attrs,
  visit: (chunk: Chunk) => void,
): void {
  const bounds = inputs.cuSeqlens.dataSync()
  const starts = inputs.kvStart?.dataSync()
  const lengths = inputs.kvLength?.dataSync()
  for (let s = 0; s + 1 < bounds.length; s++) {
    const [begin, end] = [bounds[s]!, bounds[s + 1]!]
    const firstKey = starts ? starts[s]! : begin
    const keys = lengths ? lengths[s]! : end - begin
    const shift = keys - (end - begin)
    for (let queryStart = begin; queryStart < end; queryStart += QUERY_CHUNK) {
      const queryEnd = Math.min(queryStart + QUERY_CHUNK, end)
      const rows = queryEnd - queryStart
      const lastVisible = queryEnd - 1 - begin + shift
      const firstVisible = slidingWindow > 0 ? Math.max(0, queryStart - begin + shift - slidingWindow + 1) : 0
      const columns = lastVisible + 1 - firstVisible
      const mask = new Float32Array(rows * columns)
      for (let row = 0; row < rows; row++) {
        const position = queryStart - begin + shift + row
        for (let column = 0; column < columns; column++) {
          const key = firstVisible + column
          if (key > position || (slidingWindow > 0 && key <= position - slidingWindow))
            mask[row * columns + column] = MASKED
        }
      }
      visit({
        queryStart,
        queryEnd,
        keyStart: firstKey + firstVisible,
        keyEnd: firstKey + lastVisible + 1,
        mask: tf.tensor2d(mask, [rows, columns]),
      })
    }
  }
}

/** Rows `[start, end)` of a `[tokens, heads * headDim]` tensor as `[heads, rows, headDim]`. */
function headsOf(x: tf.Tensor, start: number, end: number, heads: number): tf.Tensor3D {
  const rows = tf.slice2d(x as tf.Tensor2D, [start, 0], [end - start, -1])
  return tf.transpose(tf.reshape(rows, [end - start, heads, x.shape[1]! / heads]), [1, 0, 2]) as tf.Tensor3D
}

/** `[heads, rows, headDim]` back to `[rows, heads * headDim]`. */
function tokensOf(x: tf.Tensor3D): tf.Tensor2D {
  const [heads, rows, headDim] = x.shape
  return tf.reshape(tf.transpose(x, [1, 0, 2]), [rows, heads * headDim])
}

/** Key/value heads `[heads, keys, headDim]` repeated for the query heads that share them. */
function keyHeadsOf(kOrV: tf.Tensor, { keyStart, keyEnd }: Chunk, { numHeads, numKvHeads }: Attrs): tf.Tensor3D {
  const x = headsOf(kOrV, keyStart, keyEnd, numKvHeads)
  const times = numHeads / numKvHeads
  if (times === 1) return x
  const [heads, rows, width] = x.shape
  return tf.reshape(tf.tile(tf.expandDims(x, 1), [1, times, 1, 1]), [heads * times, rows, width])
}

/** Sums the gradients of query heads that share a key/value head. */
function sumHeads(x: tf.Tensor, { numHeads, numKvHeads }: Attrs): tf.Tensor3D {
  if (numHeads === numKvHeads) return x as tf.Tensor3D
  const [, rows, width] = x.shape as [number, number, number]
  return tf.sum(tf.reshape(x, [numKvHeads, numHeads / numKvHeads, rows, width]), 1) as tf.Tensor3D
}

/** The masked scores of a chunk `[heads, queries, keys]`, and tanh of the capped ones for the gradient. */
function scoresOf(q: tf.Tensor3D, k: tf.Tensor3D, mask: tf.Tensor2D, { scale, softcap }: Attrs) {
  let scores: tf.Tensor = tf.mul(tf.matMul(q, k, false, true), scale)
  let tanh: tf.Tensor | undefined
  if (softcap > 0) {
    tanh = tf.tanh(tf.div(scores, softcap))
    scores = tf.mul(tanh, softcap)
  }
  return { scores: tf.add(scores, mask) as tf.Tensor3D, tanh }
}

function attentionForward(inputs: Inputs, attrs: Attrs): tf.Tensor[] {
  const outs: tf.Tensor2D[] = []
  const lses: tf.Tensor2D[] = []
  forEachChunk(inputs, attrs, (chunk) => {
    const [out, lse] = tf.tidy(() => {
      const q = headsOf(inputs.q, chunk.queryStart, chunk.queryEnd, attrs.numHeads)
      const { scores } = scoresOf(q, keyHeadsOf(inputs.k, chunk, attrs), chunk.mask, attrs)
      const lse = tf.logSumExp(scores, 2, true)
      const out = tf.matMul(tf.exp(tf.sub(scores, lse)), keyHeadsOf(inputs.v, chunk, attrs))
      return [tokensOf(out as tf.Tensor3D), tf.transpose(tf.squeeze(lse, [2]))]
    }) as [tf.Tensor2D, tf.Tensor2D]
    outs.push(out)
    lses.push(lse)
  })
  return [tf.concat2d(outs, 0), tf.concat2d(lses, 0)]
}

function attentionBackward(inputs: GradInputs, attrs: Attrs): tf.Tensor[] {
  const { scale, softcap } = attrs
  const tokens = inputs.q.shape[0]!
  const dqs: tf.Tensor2D[] = []
  let dk = tf.zerosLike(inputs.k) as tf.Tensor2D
  let dv = tf.zerosLike(inputs.v) as tf.Tensor2D
  const place = (sum: tf.Tensor2D, part: tf.Tensor2D, start: number, end: number) =>
    tf.add(
      sum,
      tf.pad2d(part, [
        [start, tokens - end],
        [0, 0],
      ]),
    )
  forEachChunk(inputs, attrs, (chunk) => {
    const { queryStart, queryEnd, keyStart, keyEnd, mask } = chunk
    const [dqPart, dkSum, dvSum] = tf.tidy(() => {
      const [q, out, dout] = [inputs.q, inputs.out, inputs.dout].map((x) =>
        headsOf(x, queryStart, queryEnd, attrs.numHeads),
      ) as [tf.Tensor3D, tf.Tensor3D, tf.Tensor3D]
      const [k, v] = [keyHeadsOf(inputs.k, chunk, attrs), keyHeadsOf(inputs.v, chunk, attrs)]
      const lseRows = tf.slice2d(inputs.lse as tf.Tensor2D, [queryStart, 0], [queryEnd - queryStart, -1])
      const { scores, tanh } = scoresOf(q, k, mask, attrs)
      const p = tf.exp(tf.sub(scores, tf.expandDims(tf.transpose(lseRows), 2)))
      const delta = tf.sum(tf.mul(dout, out), 2, true)
      let ds: tf.Tensor = tf.mul(tf.mul(p, tf.sub(tf.matMul(dout, v, false, true), delta)), scale)
      if (softcap > 0) ds = tf.mul(ds, tf.sub(1, tf.square(tanh!)))
      const dkHeads = sumHeads(tf.matMul(ds, q, true, false), attrs)
      const dvHeads = sumHeads(tf.matMul(p, dout, true, false), attrs)
      return [
        tokensOf(tf.matMul(ds, k) as tf.Tensor3D),
        place(dk, tokensOf(dkHeads), keyStart, keyEnd),
        place(dv, tokensOf(dvHeads), keyStart, keyEnd),
      ]
    }) as [tf.Tensor2D, tf.Tensor2D, tf.Tensor2D]
    dqs.push(dqPart)
    dk.dispose()
    dv.dispose()
    dk = dkSum
    dv = dvSum
  })
  return [tf.concat2d(dqs, 0), dk, dv]
}

export const causalAttentionKernels = [
  portable('CausalAttention', attentionForward),
  portable('CausalAttentionGrad', attentionBackward),
]
