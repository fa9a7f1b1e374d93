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
export { type LoraConfig, type LoraConfigOptions, loraConfig, loraConfigSchema } from './adapters/lora/config'
export { lora } from './adapters/lora/lora'
// All of the file, so that the interface in it can be added to from outside.
export * from './config-types'
export { adapterBaseModel, loadAdapter, loadPeftModel, type SavePeftModelOptions, savePeftModel } from './files'
export type { MergedModule, MergeOptions, MergeReport } from './merge'
export { type AddAdapterOptions, getPeftModel, PeftModel } from './peft-model'
export { adapterTypes, peftConfig, registerAdapter } from './registry'
export { BASE_NAME } from './routing'
export { matchesModule, patternValue, queryAndValue, targetedModules, targetOptions } from './target-modules'
export { modulesToSaveOption } from './trained-copies'
