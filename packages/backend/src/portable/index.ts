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
  portable('GradNorm', (inputs) => tf.sqrt(tf.addN(Object.values<tf.Tensor>(inputs).map((x) => tf.sum(tf.square(x)))))),
]
