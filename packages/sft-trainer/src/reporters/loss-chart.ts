import { writeFileAtomic } from '@tunesmith/core'
import { lineChart } from '@tunesmith/eval-metrics'
import type { TrainerCallback, TrainResult } from '../callbacks/events'

/** Training and evaluation loss over steps, as an SVG. */
export function lossChart({ logs, evals }: Pick<TrainResult, 'logs' | 'evals'>): string {
  return lineChart({
    title: 'Loss per labelled token',
    xLabel: 'optimizer step',
    yLabel: 'loss (nats)',
    series: [
      { name: 'train', points: logs.map(({ step, loss }) => [step, loss] as [number, number]) },
      ...(evals.length > 0
        ? [{ name: 'evaluation', points: evals.map(({ step, evalLoss }) => [step, evalLoss] as [number, number]) }]
        : []),
    ],
  })
}

/** Draws `loss.svg` at the end. */
export function lossChartReporter(path: string): TrainerCallback {
  return { onTrainEnd: (result) => writeFileAtomic(path, lossChart(result)) }
}
