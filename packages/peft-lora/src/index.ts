export { adapterBaseModel, loadPeftModel, savePeftModel } from './files'
export { type LoraConfig, type LoraConfigOptions, loraConfig, loraConfigSchema } from './lora-config'
export { getPeftModel, PeftModel } from './peft-model'
