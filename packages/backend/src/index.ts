import '@tensorflow/tfjs-core/dist/register_all_gradients'

export { type CheckpointOptions, checkpoint } from './autograd/checkpoint'
export { type RecordedOp, record } from './autograd/record'
export { valueAndGrads } from './autograd/value-and-grads'
export {
  type BackendStep,
  type CompiledStep,
  compileStep,
  type StepBackend,
  type StepInput,
  type StepValues,
} from './compile-step'
export { type CudaDiagnosis, diagnoseCuda } from './cuda'
export { runKernel, withoutRecording } from './engine'
export {
  ADAMW_8BIT_BLOCK_SIZE,
  ADAMW_MIN_8BIT_SIZE,
  type AdamW8bitState,
  type AdamW8bitUpdate,
  adamW8bitStep,
  adamW8bitSteps,
  createAdamW8bitState,
  disposeAdamW8bitState,
} from './kernels/adamw-8bit'
export {
  type AttentionKernelAttrs,
  type CausalAttentionAttrs,
  causalAttention,
  type KeyRanges,
} from './kernels/causal-attention'
export { type DropoutAttrs, dropout } from './kernels/dropout'
export { dropoutMask } from './kernels/dropout-mask'
export { embeddingLookup } from './kernels/embedding'
export { kvCacheUpdate } from './kernels/kv-cache'
export { dequantize, linear } from './kernels/linear'
export {
  type CrossEntropyAttrs,
  IGNORE_INDEX,
  type LinearCrossEntropyOptions,
  type LinearCrossEntropyResult,
  linearCrossEntropy,
} from './kernels/linear-cross-entropy'
export { type LoraLinearAttrs, type LoraLinearGradAttrs, loraLinear } from './kernels/lora-linear'
export { type AdamWAttrs, type AdamWUpdate, adamWStep, adamWSteps, gradNorm } from './kernels/optimizer'
export { residualAdd } from './kernels/residual'
export { type RMSNormAttrs, rmsNorm } from './kernels/rms-norm'
export { type RotaryEmbeddingAttrs, type RotaryTables, rotaryEmbedding, rotaryTables } from './kernels/rotary-embedding'
export { type SwiGLUAttrs, swiglu } from './kernels/swiglu'
export { canOffload, markOptimizerState, offloadTensor, prefetchTensor } from './offload'
export {
  BACKEND_NAMES,
  type BackendName,
  currentBackend,
  type SelectBackendOptions,
  type SelectedBackend,
  selectBackend,
} from './select-backend'
export { diagnoseTensorFlow, fixTensorFlow, type TensorFlowDiagnosis } from './tensorflow/doctor'
export {
  BITS_PER_ELEMENT,
  denseWeight,
  disposeWeight,
  packedWeight,
  type RoundTo,
  type WeightAttrs,
  type WeightFormat,
  type WeightMatrix,
  weightAttrs,
  weightBytes,
  weightInputs,
  weightMemory,
} from './weights'
