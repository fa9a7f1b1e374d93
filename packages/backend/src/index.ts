// First: run from source, the gradients' import brings its own copy of tfjs-core, without operations on tensors.
import '@tensorflow/tfjs-core'
import '@tensorflow/tfjs-core/dist/register_all_gradients'

export { IGNORE_INDEX } from '@tunesmith/core'
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
export type {
  AdamWAttrs,
  CausalAttentionAttrs,
  DropoutAttrs,
  LoraLinearAttrs,
  RMSNormAttrs,
  RotaryEmbeddingAttrs,
  SwiGLUAttrs,
  WeightAttrs,
} from './contract/attributes'
export { dropoutMask } from './contract/dropout-mask'
export { BITS_PER_ELEMENT, type RoundTo, type WeightFormat } from './contract/weight-format'
export { type CudaDiagnosis, diagnoseCuda } from './diagnose-cuda'
export { isRecording, runKernel, stopGradient, withoutRecording } from './engine'
export { canOffload, markOptimizerState, offloadTensor, prefetchTensor } from './offload'
export { activate } from './operations/activate'
export {
  ADAMW_8BIT_BLOCK_SIZE,
  ADAMW_MIN_8BIT_SIZE,
  type AdamW8bitState,
  type AdamW8bitUpdate,
  adamW8bitStep,
  adamW8bitSteps,
  createAdamW8bitState,
  disposeAdamW8bitState,
} from './operations/adamw-8bit'
export { causalAttention, type KeyRanges } from './operations/causal-attention'
export { dropout } from './operations/dropout'
export { embeddingLookup } from './operations/embedding'
export { groupedLinear, scatterRows } from './operations/grouped-linear'
export { kvCacheUpdate } from './operations/kv-cache'
export { layerNorm } from './operations/layer-norm'
export { dequantize, linear } from './operations/linear'
export {
  type LinearCrossEntropyOptions,
  type LinearCrossEntropyResult,
  linearCrossEntropy,
  type TokenLogProbs,
  type TokenStatistics,
  tokenLogProbs,
} from './operations/linear-cross-entropy'
export { loraLinear } from './operations/lora-linear'
export { type AdamWUpdate, adamWStep, adamWSteps, gradNorm } from './operations/optimizer'
export { residualAdd } from './operations/residual'
export { rmsNorm } from './operations/rms-norm'
export { type RotaryTables, rotaryEmbedding, rotaryTables } from './operations/rotary-embedding'
export { swiglu } from './operations/swiglu'
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
  denseWeight,
  disposeWeight,
  mapWeight,
  packedWeight,
  type WeightMatrix,
  weightAttrs,
  weightBytes,
  weightInputs,
  weightMemory,
} from './weights'
