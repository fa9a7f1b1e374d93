export {
  type ComputeMetrics,
  type ComputeMetricsInput,
  createGenerationMetrics,
  type GenerationMetrics,
  type GenerationMetricsOptions,
  type GenerationResult,
  type GenerationSample,
} from './generation-metrics'
export { generationMetricsOf } from './of-trainer'
export { GENERATION_METRICS, type GenerationMetric } from './scores'
