import * as tf from '@tensorflow/tfjs-core'
import { record } from '../autograd/record'
import { rmsNorm } from './rms-norm'

/** `x` without the mean of each row; its gradient is the same of `dy`, so nothing is kept for it. */
function centered(x: tf.Tensor2D): tf.Tensor2D {
  const center = (rows: tf.Tensor) => tf.tidy(() => tf.sub(rows, tf.mean(rows, 1, true)))
  return record({
    name: 'Centered',
    inputs: { x },
    forward: () => [center(x)],
    gradient: (dy) => ({ x: () => center(dy) }),
  })[0] as tf.Tensor2D
}

/**
 * Layer normalisation, `y = (x - mean) / sqrt(var + eps) * weight + bias` (Ba et al. 2016): the root mean square normalisation of what
 * is left when the mean is taken off, because the mean square of that is the variance.
 *
 * @param x `[tokens, hidden]`
 * @param weight `[hidden]`, may be trained; likewise `bias`, which may be absent.
 * @returns `[tokens, hidden]`
 */
export function layerNorm(
  x: tf.Tensor2D,
  weight: tf.Tensor1D,
  bias: tf.Tensor1D | undefined,
  eps: number,
): tf.Tensor2D {
  return tf.tidy(() => {
    const normalized = rmsNorm(centered(x), weight, { eps, offset: 0 })
    return bias ? tf.add(normalized, bias) : normalized
  })
}
