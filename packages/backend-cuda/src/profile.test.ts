// What a profile says, against numbers counted by hand.
import * as tf from '@tensorflow/tfjs-core'
import { packedWeight, type WeightMatrix } from '@tunesmith/backend'
import { run, useBackend } from '@tunesmith/backend/testing/kernels/harness'
import { beforeAll, describe, expect, test } from 'vitest'
import { startCudaProfile, stopCudaProfile, trimCudaMemory } from './index'
import { emulateCuda } from './testing/emulated'

const there = emulateCuda('bf16')
const [TOKENS, IN, OUT, RANK, VOCAB] = [8, 64, 128, 16, 96]

const ones = (...shape: number[]) => tf.fill(shape, 0.01)
const ints = (values: number[]) => tf.tensor1d(values, 'int32')
/** An activation: stored as bfloat16. */
const activation = (rows: number, cols: number) =>
  run('RMSNorm', { x: ones(rows, cols), weight: tf.ones([cols]) }, { eps: 1e-5, offset: 0 })[0]!

function weights(format: 'bf16' | 'nf4') {
  const bytes = new Uint8Array((OUT * IN * (format === 'nf4' ? 4 : 16)) / 8)
  const scales = format === 'nf4' && { code: new Float32Array(16), absmax: new Float32Array((OUT * IN) / 64) }
  const made: WeightMatrix = packedWeight({ format, outFeatures: OUT, inFeatures: IN, blockSize: 64, bytes, ...scales })
  const { weight, absmax, code, ...attrs } = made
  return { inputs: { weight, absmax, code }, attrs: { ...attrs, scaling: 2, dropout: 0, seed: 1 } }
}

/** What the profile has under the last kernel that `f` runs; its inputs are made before. */
function counted(name: string, inputs: Record<string, tf.Tensor | undefined>, attrs: object = {}) {
  return tf.tidy(() => {
    // Small tensors stay on the host until their first use; that copy is not the kernel's.
    for (const x of Object.values(inputs))
      if (x) (tf.backend() as unknown as { memoryOf(x: tf.Tensor): number }).memoryOf(x)
    startCudaProfile()
    run(name, inputs, attrs)
    const { operations, ...totals } = stopCudaProfile()
    expect(operations.map((row) => row.name)).toEqual([name])
    const [row] = operations
    expect([row!.launches, row!.bytes, row!.flops]).toEqual([totals.launches, totals.bytes, totals.flops])
    expect(row!.kernels.reduce((sum, kernel) => sum + kernel.launches, 0)).toBe(row!.launches)
    return { bytes: row!.bytes, flops: row!.flops, kernels: row!.kernels.map((kernel) => kernel.name).sort() }
  })
}

describe.runIf(there)('a profile', () => {
  beforeAll(useBackend)

  test('of what reads and writes everything once', () => {
    const x = activation(TOKENS, IN)
    const norm = counted('RMSNorm', { x, weight: tf.ones([IN]) }, { eps: 1e-5, offset: 0 })
    expect(norm).toEqual({ bytes: 2 * TOKENS * IN * 2 + IN * 4, flops: 0, kernels: ['rmsNorm'] })
    const wide = activation(TOKENS, OUT)
    expect(counted('SwiGLU', { gate: wide, up: wide }).bytes).toBe(3 * TOKENS * OUT * 2)
  })

  test('of linear layers: a packed weight is expanded for many rows and read in its stored format for few', () => {
    const product = 2 * TOKENS * OUT * IN
    const activations = TOKENS * (IN + OUT) * 2
    for (const format of ['bf16', 'nf4'] as const) {
      const { inputs, attrs } = weights(format)
      const stored = format === 'bf16' ? OUT * IN * 2 : (OUT * IN) / 2 + (OUT * IN * 4) / 64 + 16 * 4
      const expanded = format === 'bf16' ? 0 : 2 * 2 * OUT * IN
      const plain = counted('Linear', { x: activation(TOKENS, IN), ...inputs }, attrs)
      expect(plain).toMatchObject({ bytes: activations + stored + expanded, flops: product })
      const one = counted('Linear', { x: activation(1, IN), ...inputs }, attrs)
      expect(one).toEqual({ bytes: (IN + OUT) * 2 + stored, flops: product / TOKENS, kernels: ['decodeLinear'] })
      const branch = { loraA: ones(RANK, IN), loraB: ones(OUT, RANK) }
      const lora = counted('LoraLinear', { x: activation(TOKENS, IN), ...inputs, ...branch }, attrs)
      expect(lora.flops).toBe(product + 2 * TOKENS * RANK * (IN + OUT))
      expect(lora.bytes).toBe(activations + stored + expanded + RANK * (IN + OUT) * 4 + TOKENS * RANK * 2)
      expect(lora.kernels).toContain('product')
      const saved = { dy: activation(TOKENS, OUT), x: activation(TOKENS, IN), xa: activation(TOKENS, RANK) }
      const back = { ...saved, ...inputs, ...branch }
      const grads = counted('LoraLinearGrad', back, { ...attrs, needsInputGrad: true, needsWeightGrad: true })
      expect(grads.flops).toBe(product + 2 * TOKENS * RANK * (2 * IN + 2 * OUT))
      // On top of the forward pass: the gradient of x as x again, and dA and dB as A and B again.
      expect(grads.bytes).toBe(lora.bytes + TOKENS * IN * 2 + RANK * (IN + OUT) * 4)
      const half = counted('LoraLinearGrad', back, { ...attrs, needsInputGrad: false, needsWeightGrad: true })
      expect(half.flops).toBe(2 * TOKENS * RANK * (IN + 2 * OUT))
      expect(half.bytes).toBe(activations + TOKENS * RANK * 2 + RANK * (IN + 2 * OUT) * 4)
    }
  })

  test('of attention: the pairs that the mask leaves, the rows of a cache in use', () => {
    const attrs = { numHeads: 2, numKvHeads: 1, headDim: 64, scale: 0.1, slidingWindow: 0, softcap: 0 }
    const [q, kv] = [activation(TOKENS, 128), activation(TOKENS, 64)]
    const own = { q, k: kv, v: kv, cuSeqlens: ints([0, 3, TOKENS]) }
    const pairs = 1 + 2 + 3 + (1 + 2 + 3 + 4 + 5)
    const sides = TOKENS * (128 + 64 + 64 + 128) * 2
    const rest = TOKENS * 2 * 4 + 3 * 4
    expect(counted('CausalAttention', own, attrs)).toMatchObject({ bytes: sides + rest, flops: 4 * 2 * 64 * pairs })
    const narrow = counted('CausalAttention', own, { ...attrs, slidingWindow: 2 })
    expect(narrow.flops).toBe(4 * 2 * 64 * (1 + 2 + 2 + (1 + 2 + 2 + 2 + 2)))
    const cache = activation(100, 64)
    const ranged = { cuSeqlens: ints([0, 1]), kvStart: ints([0]), kvLength: ints([20]) }
    const decoded = counted('CausalAttention', { q: activation(1, 128), k: cache, v: cache, ...ranged }, attrs)
    expect(decoded.flops).toBe(4 * 2 * 64 * 20)
    expect(decoded.bytes).toBe((2 * 128 + 2 * 20 * 64) * 2 + 2 * 4 + 4 * 4)
  })

  test('of the loss: only labelled rows, the gradient in the same pass', () => {
    const { inputs } = { inputs: { weight: tf.tensor1d(new Int32Array((VOCAB * IN) / 2), 'int32') } }
    const labels = ints([1, -100, 2, -100, 3, 4, -100, -100])
    const attrs = { format: 'bf16', outFeatures: VOCAB, inFeatures: IN, needsHiddenGrad: true }
    const loss = counted('LinearCrossEntropy', { hidden: activation(TOKENS, IN), labels, ...inputs }, attrs)
    expect(loss.flops).toBe(2 * 2 * 4 * VOCAB * IN)
    const logits = 4 * VOCAB * (4 + 4 + 2 + 2)
    const tensors = 2 * (TOKENS * IN * 2) + 2 * (VOCAB * IN * 2) + TOKENS * 4 + (1 + 3 * TOKENS) * 4
    expect(loss.bytes).toBe(logits + tensors)
  })

  test('of the optimizer: what is changed in place is read and written', () => {
    const n = RANK * IN
    const [param, expAvg, expAvgSq] = [1, 2, 3].map(() => tf.variable(ones(RANK, IN)))
    const numbers = { lr: 1e-4, beta1: 0.9, beta2: 0.999, eps: 1e-8, weightDecay: 0, step: 1, gradScale: 1 }
    const inputs = { param0: param, grad0: ones(RANK, IN), expAvg0: expAvg, expAvgSq0: expAvgSq }
    const step = counted('AdamWSteps', inputs, numbers)
    expect(step).toEqual({ bytes: 7 * n * 4, flops: 0, kernels: ['adamW'] })
    tf.dispose([param!, expAvg!, expAvgSq!])
  })

  test('adds up calls and copies, and ends', () => {
    trimCudaMemory()
    startCudaProfile()
    tf.tidy(() => {
      const x = tf.tensor1d(new Float32Array(100_000))
      for (let i = 0; i < 3; i++) tf.add(x, 1)
      tf.mul(x, x).dataSync()
    })
    const { operations, bytes, launches, seconds, uploaded, downloaded, driverAllocations } = stopCudaProfile()
    expect(driverAllocations).toBeGreaterThan(0)
    const rows = Object.fromEntries(operations.map((row) => [row.name, row]))
    expect([rows.Add?.calls, rows.Multiply?.calls]).toEqual([3, 1])
    expect(bytes).toBe(operations.reduce((sum, row) => sum + row.bytes, 0))
    expect(rows.Multiply?.bytes).toBe(3 * 400_000)
    // x to the device and back, and the four kernels; the number of the sums goes with them.
    expect(launches).toBe(2 + 4)
    expect(rows.Add?.bytes).toBe(3 * 800_000)
    expect(seconds).toBe(0)
    expect([uploaded, downloaded]).toEqual([400_000, 400_000])
    expect(stopCudaProfile).toThrow(/startCudaProfile first/)
  })
})
