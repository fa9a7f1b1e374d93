import * as tf from '@tensorflow/tfjs-core'
import type { RotaryEmbeddingAttrs } from '../contract/attributes'
import type { PortableKernel } from './register'

type KernelAttrs = RotaryEmbeddingAttrs & { inverse: boolean }

export const rotaryEmbeddingKernels: PortableKernel<KernelAttrs>[] = [
  {
    name: 'TunesmithRotaryEmbedding',
    run: ({ x, cos, sin }, { headDim, rotaryDim, inverse }) => {
      const [tokens, width] = x!.shape as [number, number]
      const half = rotaryDim / 2
      const heads = tf.reshape(x!, [tokens, width / headDim, headDim]) as tf.Tensor3D
      const a = tf.slice3d(heads, [0, 0, 0], [-1, -1, half])
      const b = tf.slice3d(heads, [0, 0, half], [-1, -1, half])
      const c = tf.expandDims(cos!, 1)
      const s = inverse ? tf.neg(tf.expandDims(sin!, 1)) : tf.expandDims(sin!, 1)
      const parts = [tf.sub(tf.mul(a, c), tf.mul(b, s)), tf.add(tf.mul(b, c), tf.mul(a, s))]
      if (rotaryDim < headDim) parts.push(tf.slice3d(heads, [0, 0, rotaryDim], [-1, -1, headDim - rotaryDim]))
      return tf.reshape(tf.concat(parts, 2), [tokens, width])
    },
  },
]
