import { join } from 'node:path'
import type { TrainerCallback } from '../callbacks/events'
import type { TrainingConfig } from '../config'
import { consoleReporter } from './console'
import { jsonlReporter } from './jsonl'
import { lossChartReporter } from './loss-chart'
import type { ReporterName } from './names'
import { tensorboardReporter } from './tensorboard'
import { mlflowReporter } from './tracking/mlflow'
import { trackioReporter } from './tracking/trackio'
import { wandbReporter } from './tracking/wandb'

const CREATE: Record<ReporterName, (config: TrainingConfig) => TrainerCallback> = {
  console: () => consoleReporter(),
  jsonl: ({ outputDir }) => jsonlReporter(join(outputDir, 'logs.jsonl')),
  chart: ({ outputDir }) => lossChartReporter(join(outputDir, 'loss.svg')),
  tensorboard: ({ outputDir }) => tensorboardReporter(join(outputDir, 'runs')),
  wandb: () => wandbReporter(),
  mlflow: () => mlflowReporter(),
  trackio: () => trackioReporter(),
}

/** The reporter of that name; it writes into `outputDir`, or takes its settings from the environment as the original does. */
export function createReporter(name: ReporterName, config: TrainingConfig): TrainerCallback {
  return CREATE[name](config)
}
