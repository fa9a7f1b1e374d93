export {
  type ComputeMetrics,
  type ComputeMetricsInput,
  createGenerationMetrics,
  type GenerationMetrics,
  type GenerationMetricsOptions,
  type GenerationResult,
  type GenerationSample,
  generationMetricsOf,
} from './generation-metrics'
export { GENERATION_METRICS, type GenerationMetric } from './scores'
