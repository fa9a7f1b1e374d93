import { basename, join, resolve } from 'node:path'
import { parseOptions, renameKeys, snakeCase } from '@tunesmith/core'
import type { z } from 'zod'
import type { EvalLog, TrainerCallback, TrainLog } from '../../callbacks/events'
import { reportedMetrics } from '../metric-names'
import { Delivery, type DeliveryOptions } from './delivery'
import { RunRecord } from './run-record'
import type { TrackingService } from './service'

export interface TrackingOptions
  extends Partial<Pick<DeliveryOptions, 'say' | 'capacity' | 'batchSize' | 'backoffMs' | 'heartbeatMs'>> {
  /** How long the end of training waits for what is not delivered yet. Default 15,000 ms. */
  flushMs?: number
}

const toStandardError: DeliveryOptions['say'] = (message, level) => {
  process.stderr.write(`${process.stderr.isTTY ? '\n' : ''}${level === 'warning' ? 'warning: ' : ''}${message}\n`)
}

/** The reporter of a service: its options checked at once, the service made when training begins. */
export const reporterOf =
  <Schema extends z.ZodType>(id: string, schema: Schema, create: (options: z.output<Schema>) => TrackingService) =>
  (options: z.input<Schema> = {} as z.input<Schema>, tracking?: TrackingOptions): TrainerCallback => {
    const parsed = parseOptions(schema, options, `${id}Reporter`)
    return trackingReporter(id, () => create(parsed), tracking)
  }

/**
 * Reports to a service over HTTP. Training neither waits for it nor fails with it: what goes wrong is said in a line, once.
 *
 * @param id names the file in `outputDir` that remembers the run, for a resume.
 * @param create throws when a setting is missing.
 */
function trackingReporter(
  id: string,
  create: () => TrackingService,
  {
    say = toStandardError,
    flushMs = 15_000,
    capacity = 10_000,
    batchSize = 100,
    backoffMs = 1000,
    heartbeatMs = 30_000,
  }: TrackingOptions = {},
): TrainerCallback {
  let delivery: Delivery | undefined
  let record: RunRecord
  const report = (log: TrainLog | EvalLog) => {
    const point = { step: log.step, time: Date.now(), metrics: reportedMetrics(log) }
    if (delivery && !record.has(point)) delivery.push(point)
  }
  return {
    async onTrainBegin({ config, resumedStep }) {
      let service: TrackingService
      try {
        service = create()
      } catch (error) {
        say((error as Error).message, 'warning')
        return
      }
      record = new RunRecord(join(config.outputDir, 'reporters', `${id}.json`))
      const runName = config.runName ?? basename(resolve(config.outputDir))
      const continued = resumedStep > 0 ? await record.load() : undefined
      const run = { runName, settings: renameKeys(config, snakeCase), continued, time: Date.now() }
      delivery = new Delivery({ service, run, record, say, capacity, batchSize, backoffMs, heartbeatMs })
    },
    onLog: report,
    onEvaluate: report,
    async onTrainEnd({ ended }) {
      await delivery?.finish(ended, flushMs)
    },
    async onTrainError() {
      await delivery?.finish('failed', flushMs)
    },
  }
}
