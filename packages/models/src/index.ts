export { architectureNames, registerArchitecture } from './architectures'
export type {
  Architecture,
  DecoderLayer,
  LinearShape,
  NormKind,
  NormShape,
  OwnConfig,
} from './architectures/architecture'
export { activationOf, type DecoderKeys, layerTypes, layerWindows } from './architectures/config-parts'
export { attention, attentionLinears, gatedMlp, headNorms, mlpLinears } from './architectures/parts'
export { type ModelInput, packSequences } from './batch'
export { CausalLM, type ForwardOptions } from './causal-lm'
export { parseModelConfig } from './config'
export type { ConfigFile } from './config-file'
export { ANSWER_DEFAULTS, type Answer, type AnswerOptions, answerPrompts } from './generation/answer'
export { type AnswerEnds, answerEnds, endTokens } from './generation/answer-ends'
export { Engine, type EngineAdapters, type EngineOptions } from './generation/engine'
export type { EngineEvent } from './generation/engine-events'
export type { EngineRequest, TokenMask } from './generation/engine-request'
export { type Answerer, type EngineTextEvent, type EngineTextRequest, streamEngineText } from './generation/engine-text'
export { type FitChatOptions, type FittedChat, fitChat } from './generation/fit-chat'
export { type GeneratedToken, type GenerateOptions, generate, streamTokens } from './generation/generate'
export type { GenerationDefaults } from './generation/generation-config'
export type { TokenLogProb } from './generation/log-probabilities'
export { createSampler, type Sampler, type SamplingOptions, samplingDistribution } from './generation/sampler'
export {
  type GeneratedText,
  type GenerateTextOptions,
  generateText,
  streamText,
  type TextPiece,
} from './generation/text'
export type { GgufCard } from './gguf/card'
export { type ExportedGguf, type ExportGgufOptions, exportGguf } from './gguf/export'
export {
  type ExportedGgufLora,
  type ExportGgufLoraOptions,
  exportGgufLora,
  type LowRankUpdate,
} from './gguf/export-lora'
export { type GgufLayout, LLAMA_MODULES as llamaGgufModules } from './gguf/layout'
export { GGUF_FILE_TYPES, type GgufFileType } from './gguf/mix'
export { type GgufHead, type GgufReadValue, type GgufTensorInfo, readGgufHead } from './gguf/read'
export { KvCache } from './kv-cache'
export { createModel, type LoadModelOptions, loadModel } from './load'
export { type ComputeLoss, dft, labelLogProbs, labelSmoothing, nll, type TokenLoss } from './loss/losses'
export { type LayerConfig, type ModelConfig, type ModuleNames, untieHead } from './model-config'
export { EmbeddingModule, LinearModule, NormModule } from './modules'
export { type Attachment, BASE_NAME, createPass, type Pass, type PassOptions } from './pass'
export { quantizedMatrix } from './quantized'
export { type Resized, type ResizeOptions, resizeTokenEmbeddings } from './resize'
export { inverseFrequencies, type RopeConfig } from './rope'
export {
  generationConfig,
  modelTensors,
  type SavePretrainedOptions,
  savePretrained,
} from './save-pretrained'
export type { AttendOptions, StepContext } from './step-context'
export type { StoredTensor } from './stored-tensor'
export { makeTrainable } from './trainable'
export { VirtualLayout, type VirtualTokens } from './virtual-tokens'
