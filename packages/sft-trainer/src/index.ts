export { type EarlyStoppingOptions, earlyStopping, earlyStoppingSchema } from './callbacks/early-stopping'
export type {
  CallbackContext,
  EvalLog,
  MemoryEstimate,
  Notice,
  StepEvent,
  TrainerCallback,
  TrainerControl,
  TrainerState,
  TrainLog,
  TrainPlan,
  TrainResult,
} from './callbacks/events'
export {
  type SFTConfig,
  type SFTConfigOptions,
  sftConfig,
  sftConfigSchema,
  type TrainingConfig,
  trainingConfigSchema,
} from './config'
export { type BatchRows, countRows, dataDigest, type TrainBatch } from './data/batches'
export type { TrainingRows } from './data/check-inputs'
export { type FormattingFunc, lossOn, type PreparedData, prepareDataset } from './data/prepare'
export {
  type ComputeMetrics,
  type ComputeMetricsInput,
  createGenerationMetrics,
  type GenerationMetrics,
  type GenerationResult,
  type GenerationSample,
} from './generation-metrics/generation-metrics'
export { INTERRUPT_EXIT_CODES } from './loop/interrupt'
export type { LossMetrics, MicroLoss, MicroObjective, MicroSums, Objective, Prepared } from './loop/objective'
export {
  createOptimizer,
  OPTIMIZERS,
  type Optimizer,
  type OptimizerName,
  type ParameterGroup,
  parameterGroups,
} from './optimizers'
export { createReporter } from './reporters'
export { consoleReporter } from './reporters/console'
export { jsonlReporter } from './reporters/jsonl'
export { lossChart, lossChartReporter } from './reporters/loss-chart'
export { REPORTERS, type ReporterName } from './reporters/names'
export { tensorboardReporter } from './reporters/tensorboard'
export { type MlflowOptions, mlflowReporter } from './reporters/tracking/mlflow'
export type { TrackingOptions } from './reporters/tracking/tracking-reporter'
export { type TrackioOptions, trackioReporter } from './reporters/tracking/trackio'
export { type WandbOptions, wandbReporter } from './reporters/tracking/wandb'
export { createSchedule, SCHEDULES, type Schedule, type ScheduleName } from './schedules'
export { SFTTrainer, type SFTTrainerOptions } from './sft-trainer'
export { type Method, Trainer, type TrainerOptions, type TrainOptions } from './trainer'
