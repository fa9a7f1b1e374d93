import * as tf from '@tensorflow/tfjs-core'
import type { RankAllocator } from './rank-allocator'

/** `base_model.model.<module>.lora_A` and the like, split. */
const KEY = /^base_model\.model\.(.*)\.lora_([ABE])$/

/** Changes the tensors of modules that have lost ranks; `axis` counts the ranks. */
function changeTrimmed(
  tensors: ReadonlyMap<string, tf.Tensor>,
  allocator: RankAllocator,
  change: (tensor: tf.Tensor, used: boolean[], axis: 0 | 1) => tf.Tensor,
): Map<string, tf.Tensor> {
  return new Map(
    [...tensors].map(([key, tensor]) => {
      const [, name, part] = KEY.exec(key) ?? []
      const used = name === undefined ? undefined : allocator.used(name)
      return [key, used ? change(tensor, used, part === 'B' ? 1 : 0) : tensor]
    }),
  )
}

const resized = (shape: readonly number[], axis: number, size: number) => shape.map((n, i) => (i === axis ? size : n))

/** The tensors as PEFT saves them: only the ranks in use. */
export const withUsedRanks = (variables: ReadonlyMap<string, tf.Tensor>, allocator: RankAllocator) =>
  changeTrimmed(variables, allocator, (tensor, used, axis) => {
    const indices = used.flatMap((one, i) => (one ? [i] : []))
    if (indices.length === 0) return tf.tensor(new Float32Array(0), resized(tensor.shape, axis, 0))
    return tf.gather(tensor, tf.tensor1d(indices, 'int32'), axis)
  })

/** The way back: ranks that are not in use are zeros. */
export const withAllRanks = (stored: ReadonlyMap<string, tf.Tensor>, allocator: RankAllocator) =>
  changeTrimmed(stored, allocator, (tensor, used, axis) => {
    const count = tensor.shape[axis]!
    if (count === 0) return tf.zeros(resized(tensor.shape, axis, used.length))
    const withZeros = tf.concat([tensor, tf.zeros(resized(tensor.shape, axis, 1))], axis)
    let at = 0
    return tf.gather(
      withZeros,
      tf.tensor1d(
        used.map((one) => (one ? at++ : count)),
        'int32',
      ),
      axis,
    )
  })
