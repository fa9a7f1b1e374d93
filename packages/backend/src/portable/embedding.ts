import * as tf from '@tensorflow/tfjs-core'
import type { WeightAttrs } from '../weights'
import { gatherRows } from './matrix'
import type { PortableKernel } from './register'

export const embeddingKernels: PortableKernel<never>[] = [
  {
    name: 'TunesmithEmbeddingLookup',
    run: ({ ids, ...weight }, attrs: WeightAttrs) => gatherRows(weight, attrs, ids as tf.Tensor1D),
  },
  {
    name: 'TunesmithEmbeddingGrad',
    run: ({ dy, ids }, { outFeatures }: { outFeatures: number }) =>
      tf.scatterND(tf.expandDims(ids!, 1), dy!, [outFeatures, dy!.shape[1]!]),
  },
]
