import * as tf from '@tensorflow/tfjs-core'
import type { RankAllocator } from './rank-allocator'

/** `base_model.model.<module>.lora_A` and the like, split. */
const KEY = /^base_model\.model\.(.*)\.lora_([ABE])$/

function usedRanks(key: string, allocator: RankAllocator): { used: boolean[]; axis: 0 | 1 } | undefined {
  const found = KEY.exec(key)
  const used = found ? allocator.used(found[1]!) : undefined
  return used && { used, axis: found![2] === 'B' ? 1 : 0 }
}

/** The tensors as PEFT saves them: only the ranks in use. */
export function withUsedRanks(
  variables: ReadonlyMap<string, tf.Tensor>,
  allocator: RankAllocator,
): Map<string, tf.Tensor> {
  return new Map(
    [...variables].map(([key, tensor]) => {
      const found = usedRanks(key, allocator)
      if (!found) return [key, tensor]
      const indices = found.used.flatMap((one, i) => (one ? [i] : []))
      if (indices.length > 0) return [key, tf.gather(tensor, tf.tensor1d(indices, 'int32'), found.axis)]
      const shape = tensor.shape.map((size, axis) => (axis === found.axis ? 0 : size))
      return [key, tf.tensor(new Float32Array(0), shape)]
    }),
  )
}

/** The way back: ranks that are not in use are zeros. */
export function withAllRanks(stored: ReadonlyMap<string, tf.Tensor>, allocator: RankAllocator): Map<string, tf.Tensor> {
  return new Map(
    [...stored].map(([key, tensor]) => {
      const found = usedRanks(key, allocator)
      if (!found) return [key, tensor]
      const { used, axis } = found
      const [rows, columns] = tensor.shape as [number, number]
      const shape: [number, number] = axis === 0 ? [used.length, columns] : [rows, used.length]
      const [from, to] = [tensor.dataSync(), new Float32Array(shape[0] * shape[1])]
      let at = 0
      for (let row = 0; row < shape[0]; row++)
        for (let column = 0; column < shape[1]; column++)
          if (used[axis === 0 ? row : column]) to[row * shape[1] + column] = from[at++]!
      return [key, tf.tensor2d(to, shape)]
    }),
  )
}
