import * as tf from '@tensorflow/tfjs-core'
import { codeSearchOf, invalidData, quantizeBlock8bit } from '@tunesmith/core'
import type { AdamWAttrs } from '../contract/attributes'
import { runKernel } from '../engine'
import { numbered } from './optimizer'

/** Elements per scale of the state. */
export const ADAMW_8BIT_BLOCK_SIZE = 256
/** Parameters with fewer elements keep float32 moments and {@link adamWStep} (bitsandbytes' `min_8bit_size`). */
export const ADAMW_MIN_8BIT_SIZE = 4096

/** Both moments of a parameter of `n` elements in 8 bits: about 2 bytes per element instead of 8. */
export interface AdamW8bitState {
  /** First moment: codes, four to an int32, `[ceil(n / 4)]`. */
  state1: tf.Variable
  /** Second moment, likewise. */
  state2: tf.Variable
  /** float32 `[ceil(n / 256)]`: the scale of each block of the first moment. */
  absmax1: tf.Variable
  absmax2: tf.Variable
  /** float32 `[256]`, ascending: what a code of the first moment stands for; signed. */
  qmap1: tf.Tensor
  /** Of the second moment; unsigned. */
  qmap2: tf.Tensor
}

/**
 * Zero moments for a parameter of `size` elements.
 *
 * @param qmap1, qmap2 float32 `[256]`, ascending, with a zero: `DYNAMIC_MAP_SIGNED` and `DYNAMIC_MAP_UNSIGNED` of
 *   `@tunesmith/quantization`. They are shared by all states and not disposed with one.
 */
export function createAdamW8bitState({
  size,
  qmap1,
  qmap2,
}: Pick<AdamW8bitState, 'qmap1' | 'qmap2'> & { size: number }): AdamW8bitState {
  const codes = (map: tf.Tensor) => {
    const words = new Int32Array(Math.ceil(size / 4))
    new Uint8Array(words.buffer).fill((map.dataSync() as Float32Array).indexOf(0), 0, size)
    return tf.tidy(() => tf.variable(tf.tensor1d(words, 'int32'), false))
  }
  const scales = () => tf.tidy(() => tf.variable(tf.zeros([Math.ceil(size / ADAMW_8BIT_BLOCK_SIZE)]), false))
  return { state1: codes(qmap1), state2: codes(qmap2), absmax1: scales(), absmax2: scales(), qmap1, qmap2 }
}

/** Releases a state; its maps stay. */
export function disposeAdamW8bitState({ state1, state2, absmax1, absmax2 }: AdamW8bitState): void {
  for (const variable of [state1, state2, absmax1, absmax2]) variable.dispose()
}

/** A parameter, its gradient of the same shape, and its state. */
export interface AdamW8bitUpdate {
  param: tf.Variable
  grad: tf.Tensor
  state: AdamW8bitState
}

/**
 * One AdamW step in place with both moments in 8 bits, 256 elements to a scale, as bitsandbytes' `AdamW8bit`, for any number
 * of parameters. States with the same maps share a call of the backend's kernel, where it has one.
 *
 * In float32: m = b1 m + (1-b1) g, v = b2 v + (1-b2) g g; the parameter shrinks by lr * weightDecay, then moves by
 * lr / (1-b1^t) * m / (sqrt(v) / sqrt(1-b2^t) + eps); m and v are quantized again, each to the nearest entry of its map.
 *
 * @see Dettmers et al., "8-bit Optimizers via Block-wise Quantization", 2021
 * @throws {TunesmithError} `invalid_data` when a state is not one for its parameter.
 */
export function adamW8bitSteps(updates: readonly AdamW8bitUpdate[], attrs: AdamWAttrs): void {
  if (!tf.getKernel('TunesmithAdamW8bitSteps', tf.getBackend())) {
    for (const update of updates) stepThroughHost(update, attrs)
    return
  }
  const sharing = new Map<string, AdamW8bitUpdate[]>()
  for (const update of updates) {
    const maps = `${update.state.qmap1.id} ${update.state.qmap2.id}`
    const group = sharing.get(maps)
    if (group) group.push(update)
    else sharing.set(maps, [update])
  }
  for (const group of sharing.values()) {
    const { qmap1, qmap2 } = group[0]!.state
    const list = group.map(({ param, grad, state: { state1, state2, absmax1, absmax2 } }) => {
      return { param, grad, state1, state2, absmax1, absmax2 }
    })
    runKernel('TunesmithAdamW8bitSteps', { qmap1, qmap2, ...numbered(list) }, attrs)
  }
}

/** {@link adamW8bitSteps} for one parameter. */
export function adamW8bitStep(param: tf.Variable, grad: tf.Tensor, state: AdamW8bitState, attrs: AdamWAttrs): void {
  adamW8bitSteps([{ param, grad, state }], attrs)
}

const f = Math.fround

/** The definition, on host memory: codes are bytes, which no backend of TensorFlow.js computes with. */
function stepThroughHost({ param: variable, grad: gradient, state }: AdamW8bitUpdate, attrs: AdamWAttrs): void {
  const [param, absmax1, absmax2] = [variable, state.absmax1, state.absmax2].map((x) => x.dataSync<'float32'>().slice())
  const [grad, qmap1, qmap2] = [gradient, state.qmap1, state.qmap2].map((x) => x.dataSync<'float32'>())
  const [words1, words2] = [state.state1, state.state2].map((x) => x.dataSync<'int32'>().slice())
  const size = param.length
  const [words, blocks] = [Math.ceil(size / 4), Math.ceil(size / ADAMW_8BIT_BLOCK_SIZE)]
  const lengths = [grad, words1, words2, absmax1, absmax2, qmap1, qmap2].map((array) => array.length)
  if (lengths.join() !== [size, words, words, blocks, blocks, 256, 256].join())
    throw invalidData(`The 8-bit state is not one for a parameter and gradient of ${size} elements`, {
      where: 'adamW8bitStep',
      remedy: 'Make it with createAdamW8bitState',
    })
  const { lr, beta1, beta2, eps, weightDecay, step, gradScale } = attrs
  const rate = f(-lr / (1 - beta1 ** step))
  const root = f(Math.sqrt(1 - beta2 ** step))
  const [shrink, epsilon, scale] = [f(1 - lr * weightDecay), f(eps), f(gradScale)]
  const [b1, c1, b2, c2] = [f(beta1), f(1 - beta1), f(beta2), f(1 - beta2)]
  const [codes1, codes2] = [new Uint8Array(words1.buffer, 0, size), new Uint8Array(words2.buffer, 0, size)]
  const [search1, search2] = [codeSearchOf(qmap1, state.qmap1), codeSearchOf(qmap2, state.qmap2)]
  const m = new Float32Array(ADAMW_8BIT_BLOCK_SIZE)
  const v = new Float32Array(ADAMW_8BIT_BLOCK_SIZE)
  for (let block = 0, begin = 0; begin < size; block++, begin += ADAMW_8BIT_BLOCK_SIZE) {
    const count = Math.min(ADAMW_8BIT_BLOCK_SIZE, size - begin)
    const [scale1, scale2] = [absmax1[block]!, absmax2[block]!]
    for (let i = 0; i < count; i++) {
      const at = begin + i
      const g = f(grad[at]! * scale)
      // An unrounded product that ends a sum is a fused multiply-add in torch; the assignment rounds once.
      m[i] = f(f(qmap1[codes1[at]!]! * scale1) * b1) + c1 * g
      v[i] = f(f(qmap2[codes2[at]!]! * scale2) * b2) + f(c2 * g) * g
      const denominator = f(f(f(Math.sqrt(v[i]!)) / root) + epsilon)
      param[at] = f(param[at]! * shrink) + f(f(rate * m[i]!) / denominator)
    }
    const full = count === ADAMW_8BIT_BLOCK_SIZE
    absmax1[block] = quantizeBlock8bit(m, 0, count, full, search1, codes1.subarray(begin))
    absmax2[block] = quantizeBlock8bit(v, 0, count, full, search2, codes2.subarray(begin))
  }
  tf.tidy(() => {
    variable.assign(tf.tensor(param, variable.shape))
    state.state1.assign(tf.tensor1d(words1, 'int32'))
    state.state2.assign(tf.tensor1d(words2, 'int32'))
    state.absmax1.assign(tf.tensor1d(absmax1))
    state.absmax2.assign(tf.tensor1d(absmax2))
  })
}
