export { adapterBaseModel, loadPeftModel, savePeftModel } from './files'
export { type LoraConfig, type LoraConfigOptions, loraConfig } from './lora-config'
export { getPeftModel, PeftModel } from './peft-model'
