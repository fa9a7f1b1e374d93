import * as tf from '@tensorflow/tfjs-core'
import { runKernel } from '../engine'

/**
 * Writes rows into a key or value cache in place: `cache[rows[i]] = x[i]`.
 *
 * @param cache `[capacity, width]`
 * @param x `[tokens, width]`
 * @param rows int32 `[tokens]`, each in [0, capacity).
 */
export function kvCacheUpdate(cache: tf.Variable<tf.Rank.R2>, x: tf.Tensor2D, rows: tf.Tensor1D): void {
  if (tf.getKernel('TunesmithKvCacheUpdate', tf.getBackend())) {
    runKernel('TunesmithKvCacheUpdate', { cache, x, rows })
    return
  }
  tf.tidy(() => cache.assign(tf.tensorScatterUpdate(cache, tf.expandDims(rows, 1), x) as tf.Tensor2D))
}
