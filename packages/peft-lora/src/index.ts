export { BASE_NAME } from '@tunesmith/models'
export type {
  AdaptableModule,
  Adapter,
  AdapterConfig,
  AdapterLayer,
  Below,
  DenseModule,
  LayerCall,
  LayerContext,
  OptimizerStep,
  SharedContext,
  SharedParts,
} from './adapter'
export { adaLora } from './adapters/adalora/adalora'
export { type AdaLoraConfig, type AdaLoraConfigOptions, adaLoraConfigSchema } from './adapters/adalora/config'
export {
  type BottleneckConfig,
  type BottleneckConfigOptions,
  bottleneck,
  bottleneckConfigSchema,
} from './adapters/bottleneck'
export { type Ia3Config, type Ia3ConfigOptions, ia3, ia3ConfigSchema } from './adapters/ia3'
export { type LoraConfig, type LoraConfigOptions, loraConfig, loraConfigSchema } from './adapters/lora/config'
export { lora } from './adapters/lora/lora'
export { addWeightedAdapter, type WeightedAdapterOptions } from './adapters/lora/weighted-adapter'
export {
  type PrefixTuningConfig,
  type PrefixTuningConfigOptions,
  prefixTuning,
  prefixTuningConfigSchema,
} from './adapters/prefix-tuning/prefix-tuning'
export {
  type PromptTuningConfig,
  type PromptTuningConfigOptions,
  promptTuning,
  promptTuningConfigSchema,
} from './adapters/prompt-tuning'
export { type VeraConfig, type VeraConfigOptions, vera, veraConfigSchema } from './adapters/vera'
export type { PeftConfigOptions } from './config-types'
export { engineAdapters } from './engine-adapters'
export { adapterBaseModel, loadAdapter, loadPeftModel, type SavePeftModelOptions, savePeftModel } from './files'
export { exportPeftGguf } from './gguf'
export type { MergedModule, MergeOptions, MergeReport } from './merge'
export { type AddAdapterOptions, getPeftModel, PeftModel } from './peft-model'
export { adapterTypes, peftConfig, registerAdapter } from './registry'
export { matchesModule, patternValue, queryAndValue, targetedModules, targetOptions } from './target-modules'
export { modulesToSaveOption } from './trained-copies'
