import { causalAttentionKernels } from './causal-attention'
import { dropoutKernels } from './dropout'
import { embeddingKernels } from './embedding'
import { gradNormKernels } from './grad-norm'
import { linearKernels } from './linear'
import { linearCrossEntropyKernels } from './linear-cross-entropy'
import { loraLinearKernels } from './lora-linear'
import type { PortableKernel } from './register'
import { rmsNormKernels } from './rms-norm'
import { rotaryEmbeddingKernels } from './rotary-embedding'
import { swigluKernels } from './swiglu'

/** Every kernel that has an implementation out of standard operations. */
export const portableKernels: PortableKernel<never>[] = [
  ...rmsNormKernels,
  ...rotaryEmbeddingKernels,
  ...causalAttentionKernels,
  ...swigluKernels,
  ...linearKernels,
  ...loraLinearKernels,
  ...linearCrossEntropyKernels,
  ...dropoutKernels,
  ...embeddingKernels,
  ...gradNormKernels,
]
