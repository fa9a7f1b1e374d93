import * as tf from '@tensorflow/tfjs-core'
import { blockKernels } from './block'
import { causalAttentionKernels } from './causal-attention'
import { linearKernels } from './linear'
import { linearCrossEntropy } from './linear-cross-entropy'
import { portable } from './register'

/** Every kernel that has an implementation out of standard operations. */
export const portableKernels = [
  ...blockKernels,
  ...causalAttentionKernels,
  ...linearKernels,
  linearCrossEntropy,
  portable('GradNorm', (inputs) => {
    const squares = Object.values<tf.Tensor>(inputs).map((x) => tf.sum(tf.square(x)))
    return squares.length === 0 ? tf.scalar(0) : tf.sqrt(tf.addN(squares))
  }),
]
