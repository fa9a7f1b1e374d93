export { type FineTuneConfig, fineTuneConfigSchema, readFineTuneConfig } from './run/config'
export { type FineTuneMetrics, fineTune } from './run/fine-tune'
