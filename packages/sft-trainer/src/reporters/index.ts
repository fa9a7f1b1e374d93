import { join } from 'node:path'
import type { SFTConfig } from '../config'
import type { TrainerCallback } from '../events'
import { consoleReporter } from './console'
import { jsonlReporter } from './jsonl'
import { lossChartReporter } from './loss-chart'

export const REPORTERS = ['console', 'jsonl', 'chart'] as const
export type ReporterName = (typeof REPORTERS)[number]

/** The reporter of that name, writing where and under which name the config says. */
export function createReporter(name: ReporterName, { outputDir }: SFTConfig): TrainerCallback {
  switch (name) {
    case 'console':
      return consoleReporter()
    case 'jsonl':
      return jsonlReporter(join(outputDir, 'logs.jsonl'))
    case 'chart':
      return lossChartReporter(join(outputDir, 'loss.svg'))
  }
}
