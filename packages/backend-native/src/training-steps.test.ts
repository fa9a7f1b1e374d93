import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import * as tf from '@tensorflow/tfjs-core'
import {
  adamW8bitStep,
  adamWStep,
  causalAttention,
  checkpoint,
  createAdamW8bitState,
  denseWeight,
  embeddingLookup,
  gradNorm,
  linear,
  linearCrossEntropy,
  loraLinear,
  rmsNorm,
  rotaryEmbedding,
  rotaryTables,
  swiglu,
  valueAndGrads,
  type WeightMatrix,
} from '@tunesmith/backend'
import { type Format, randomWeight } from '@tunesmith/backend/testing/kernels/weights'
import { Random } from '@tunesmith/core'
import { beforeAll, expect, test } from 'vitest'
import { nativeMemory } from './index'
import { normals, useBackend } from './testing/native'

beforeAll(useBackend)

const [HIDDEN, WIDE, VOCAB, HEADS, RANK] = [64, 160, 500, 4, 8]
const headDim = HIDDEN / HEADS

/** One block with LoRA on an NF4 base, a bf16 feed-forward and a trained output layer: every kernel of a training step. */
function makeModel(random: Random) {
  const frozen = (format: Format, out: number, inn: number): WeightMatrix => {
    const { attrs, inputs } = randomWeight(random, format, out, inn)
    return { ...attrs, ...(inputs as { weight: tf.Tensor }) }
  }
  const variable = (rows: number, cols: number, scale = 0.05) =>
    tf.tidy(() => tf.variable(tf.tensor2d(normals(random, rows * cols, scale), [rows, cols])))
  // Large, so that the process weighs what a small real one does and 2% of it are more than the garbage of JavaScript.
  const table = denseWeight(tf.fill<tf.Rank.R2>([1 << 20, HIDDEN], 0.02))
  const [qkv, gate, up, down] = [
    frozen('nf4', 3 * HIDDEN, HIDDEN),
    frozen('bf16', WIDE, HIDDEN),
    frozen('int8', WIDE, HIDDEN),
    frozen('fp4', HIDDEN, WIDE),
  ]
  const norm = tf.ones<tf.Rank.R1>([HIDDEN])
  const loraA = variable(RANK, HIDDEN)
  const loraB = variable(3 * HIDDEN, RANK)
  const head = variable(VOCAB, HIDDEN)
  const parameters: tf.Variable[] = [loraA, loraB, head]
  /** The tensors of a batch; the checkpointed block reads them again in the backward pass, so they live outside of it. */
  const batch = (ids: number[], cuSeqlens: number[]) => {
    const positions = ids.map((_, i) => i - cuSeqlens.filter((start) => start <= i).at(-1)!)
    const frequencies = Float32Array.from({ length: headDim / 2 }, (_, i) => 100 ** ((-2 * i) / headDim))
    const { cos, sin } = rotaryTables(positions, frequencies)
    const shape: [number, number] = [ids.length, headDim / 2]
    const labels = ids.map((id, i) => (i % 3 ? id : -100))
    return {
      cos: tf.tensor2d(cos, shape),
      sin: tf.tensor2d(sin, shape),
      bounds: tf.tensor1d(cuSeqlens, 'int32'),
      ids: tf.tensor1d(ids, 'int32'),
      labels: tf.tensor1d(labels, 'int32'),
    }
  }
  const loss = ({ cos, sin, bounds, ids, labels }: ReturnType<typeof batch>, seed: number) => {
    const block = (x: tf.Tensor2D) => {
      const normed = rmsNorm(x, norm, { eps: 1e-5, offset: 0 })
      const all = loraLinear(normed, qkv, loraA as never, loraB as never, { scaling: 2, dropout: 0.1, seed })
      const [q, k, v] = tf.split(all, 3, 1) as [tf.Tensor2D, tf.Tensor2D, tf.Tensor2D]
      const rope = { headDim, rotaryDim: headDim }
      const [rq, rk] = [rotaryEmbedding(q, cos, sin, rope), rotaryEmbedding(k, cos, sin, rope)]
      const attrs = { numHeads: HEADS, numKvHeads: HEADS, headDim, scale: headDim ** -0.5 }
      const h = tf.add(x, causalAttention(rq, rk, v, bounds, attrs)) as tf.Tensor2D
      const n = rmsNorm(h, norm, { eps: 1e-5, offset: 0 })
      return tf.add(h, linear(swiglu(linear(n, gate), linear(n, up)), down)) as tf.Tensor2D
    }
    const hidden = checkpoint(block, embeddingLookup(table, ids), [loraA, loraB])
    return linearCrossEntropy(hidden, denseWeight(head as never), labels).loss
  }
  return { parameters, batch, loss }
}

test('500 training steps leave as many tensors and as much memory as they found', () => {
  setFlagsFromString('--expose-gc')
  const collectGarbage = runInNewContext('gc') as () => void
  const random = new Random(1)
  const { parameters, batch, loss } = makeModel(random)
  const squares = (negative: boolean) =>
    tf.tensor1d(Float32Array.from({ length: 256 }, (_, i) => (negative ? (i - 127) / 128 : i / 255)))
  const maps = { qmap1: squares(true), qmap2: squares(false) }
  const bytes = createAdamW8bitState({ size: VOCAB * HIDDEN, ...maps })
  const moments = parameters.slice(0, 2).map((p) => [0, 1].map(() => tf.tidy(() => tf.variable(tf.zerosLike(p)))))
  const samples: { tensors: number; live: number; resident: number }[] = []
  for (let step = 1; step <= 500; step++) {
    const lengths = Array.from({ length: 1 + random.int(3) }, () => 1 + random.int(60))
    const cuSeqlens = [0]
    for (const length of lengths) cuSeqlens.push(cuSeqlens.at(-1)! + length)
    const ids = Array.from({ length: cuSeqlens.at(-1)! }, () => random.int(VOCAB))
    const inputs = batch(ids, cuSeqlens)
    const { value, grads } = valueAndGrads(() => loss(inputs, step), parameters)
    expect(Number.isFinite(value.dataSync()[0])).toBe(true)
    const gradScale = 1 / Math.max(1, gradNorm(grads))
    const attrs = { lr: 1e-4, beta1: 0.9, beta2: 0.999, eps: 1e-8, weightDecay: 0.01, step, gradScale }
    moments.forEach(([m, v], i) => {
      adamWStep(parameters[i]!, grads[i]!, m!, v!, attrs)
    })
    adamW8bitStep(parameters[2]!, grads[2]!, bytes, attrs)
    tf.dispose([value, ...grads, ...Object.values(inputs)])
    if (step % 100 !== 0) continue
    collectGarbage()
    samples.push({ tensors: tf.memory().numTensors, live: nativeMemory().live, resident: process.memoryUsage.rss() })
  }
  const [, first, ...rest] = samples
  for (const { tensors, live, resident } of rest) {
    expect(tensors).toBe(first!.tensors)
    expect(live).toBe(first!.live)
    expect(resident / first!.resident).toBeLessThan(1.02)
  }
})
