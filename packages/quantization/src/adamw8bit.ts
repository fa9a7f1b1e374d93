import { parseOptions, TunesmithError } from '@tunesmith/core'
import { z } from 'zod'
import { quantizeBlock8bit, searchOf } from './blockwise8bit'
import { DYNAMIC_MAP_SIGNED, DYNAMIC_MAP_UNSIGNED } from './codebooks'
import { float32Array } from './floats'

/** Elements per scale of the optimizer state. */
export const ADAMW_8BIT_BLOCKSIZE = 256
/** Tensors with fewer elements keep float32 state (bitsandbytes' `min_8bit_size`). */
export const ADAMW_MIN_8BIT_SIZE = 4096

/** First and second moment in 8 bits: codes `[n]` and one scale per 256 elements each. */
export interface AdamW8bitState {
  kind: '8bit'
  state1: Uint8Array
  state2: Uint8Array
  absmax1: Float32Array
  absmax2: Float32Array
}

/** First and second moment in float32 `[n]`. */
export interface AdamW32bitState {
  kind: '32bit'
  state1: Float32Array
  state2: Float32Array
}

/**
 * A fresh state for a parameter of `size` elements: 8-bit from 4096 elements on, float32 below.
 *
 * Zero moments are code 127 (signed) and 0 (unsigned) with scale 0.
 */
export function createAdamWState({
  size,
  min8bitSize = ADAMW_MIN_8BIT_SIZE,
}: {
  size: number
  min8bitSize?: number
}): AdamW8bitState | AdamW32bitState {
  if (size < min8bitSize) return { kind: '32bit', state1: new Float32Array(size), state2: new Float32Array(size) }
  const blocks = Math.ceil(size / ADAMW_8BIT_BLOCKSIZE)
  return {
    kind: '8bit',
    state1: new Uint8Array(size).fill(DYNAMIC_MAP_SIGNED.indexOf(0)),
    state2: new Uint8Array(size),
    absmax1: new Float32Array(blocks),
    absmax2: new Float32Array(blocks),
  }
}

const stepOptions = z.strictObject({
  /** The parameter `[n]`; updated in place. */
  parameter: float32Array,
  /** Its gradient `[n]`. */
  gradient: float32Array,
  /** Updated in place. */
  state: z.custom<AdamW8bitState | AdamW32bitState>(
    (s) => ['8bit', '32bit'].includes((s as AdamW8bitState | undefined)?.kind ?? ''),
    'must come from createAdamWState',
  ),
  /** Counts from 1. */
  step: z.int().positive(),
  learningRate: z.number().nonnegative(),
  beta1: z.number().min(0).lt(1).default(0.9),
  beta2: z.number().min(0).lt(1).default(0.999),
  epsilon: z.number().nonnegative().default(1e-8),
  /** Decoupled: the parameter shrinks by `learningRate * weightDecay`. Default 0.01. */
  weightDecay: z.number().nonnegative().default(0.01),
})

export type AdamW8bitStepOptions = z.input<typeof stepOptions>

const f = Math.fround

/**
 * One AdamW step with 8-bit blockwise state, as bitsandbytes' CPU implementation does it; the reference for kernels.
 *
 * In float32: m = b1 m + (1-b1) g, v = b2 v + (1-b2) g g, p shrinks by lr * decay, then
 * p -= lr / (1-b1^t) * m / (sqrt(v) / sqrt(1-b2^t) + epsilon); m and v are quantized again, 256 elements at a time.
 *
 * @throws {TunesmithError} `invalid_options`
 * @see Dettmers et al., "8-bit Optimizers via Block-wise Quantization", 2021
 */
export function adamW8bitStep(options: AdamW8bitStepOptions): void {
  const parsed = parseOptions(stepOptions, options, 'adamW8bitStep')
  const { parameter, gradient, state, step, learningRate, beta1, beta2, epsilon, weightDecay } = parsed
  const size = parameter.length
  if (gradient.length !== size || state.state1.length !== size || state.state2.length !== size)
    throw new TunesmithError(
      `sizes differ: parameter ${size}, gradient ${gradient.length}, state ${state.state1.length}`,
      {
        code: 'invalid_options',
        where: 'adamW8bitStep',
        remedy: 'Make the state with createAdamWState for this parameter',
      },
    )
  const correction1 = 1 - beta1 ** step
  const correction2 = Math.sqrt(1 - beta2 ** step)
  const shrink = f(1 - learningRate * weightDecay)
  const [b1, c1, b2, c2] = [f(beta1), f(1 - beta1), f(beta2), f(1 - beta2)]

  // Products that end an unrounded sum below are fused multiply-adds in torch; assignment rounds them once.
  if (state.kind === '32bit') {
    const rate = f((-learningRate * correction2) / correction1)
    const eps = f(epsilon * correction2)
    const { state1: m, state2: v } = state
    for (let i = 0; i < size; i++) {
      const g = gradient[i]!
      m[i] = f(m[i]! * b1) + c1 * g
      v[i] = f(v[i]! * b2) + f(c2 * g) * g
      const shrunk = weightDecay > 0 ? f(parameter[i]! * shrink) : parameter[i]!
      parameter[i] = shrunk + rate * f(m[i]! / f(f(Math.sqrt(v[i]!)) + eps))
    }
    return
  }

  const rate = f(-learningRate / correction1)
  const root = f(correction2)
  const eps = f(epsilon)
  const [map1, map2] = [DYNAMIC_MAP_SIGNED, DYNAMIC_MAP_UNSIGNED]
  const [search1, search2] = [searchOf(map1), searchOf(map2)]
  const m = new Float32Array(ADAMW_8BIT_BLOCKSIZE)
  const v = new Float32Array(ADAMW_8BIT_BLOCKSIZE)
  for (let block = 0, begin = 0; begin < size; block++, begin += ADAMW_8BIT_BLOCKSIZE) {
    const count = Math.min(ADAMW_8BIT_BLOCKSIZE, size - begin)
    const [scale1, scale2] = [state.absmax1[block]!, state.absmax2[block]!]
    for (let i = 0; i < count; i++) {
      const g = gradient[begin + i]!
      m[i] = f(f(map1[state.state1[begin + i]!]! * scale1) * b1) + c1 * g
      v[i] = f(f(map2[state.state2[begin + i]!]! * scale2) * b2) + f(c2 * g) * g
      const shrunk = weightDecay > 0 ? f(parameter[begin + i]! * shrink) : parameter[begin + i]!
      const denominator = f(f(f(Math.sqrt(v[i]!)) / root) + eps)
      parameter[begin + i] = shrunk + f(f(rate * m[i]!) / denominator)
    }
    const full = count === ADAMW_8BIT_BLOCKSIZE
    state.absmax1[block] = quantizeBlock8bit(m, 0, count, full, search1, state.state1.subarray(begin))
    state.absmax2[block] = quantizeBlock8bit(v, 0, count, full, search2, state.state2.subarray(begin))
  }
}
