import type * as tf from '@tensorflow/tfjs-core'
import { createEmitter } from '../callbacks/emitter'
import type { TrainerCallback } from '../callbacks/events'
import type { ResumedRun } from '../checkpoints/resume'
import type { TrainingConfig } from '../config'
import { type BatchRows, createBatchStream } from '../data/batches'
import { createOptimizer, type Optimizer, parameterGroups } from '../optimizers'
import { plannedSteps, warmupStepsOf } from '../plan/plan'
import { createReporter } from '../reporters'
import { createSchedule, type Schedule } from '../schedules'
import { greaterIsBetter } from './best-metric'
import { GradScaler } from './grad-scaler'
import { LogWindow } from './log-window'
import { newRunState, noControl } from './run-state'
import type { TrainParts, TrainRun } from './train-run'

/** @throws {TunesmithError} `invalid_options` when `lrSchedulerKwargs` do not fit. */
export function scheduleOf(config: TrainingConfig, totalSteps: number): Schedule {
  return createSchedule(config.lrSchedulerType, {
    warmupSteps: warmupStepsOf(totalSteps, config),
    totalSteps,
    learningRate: config.learningRate,
    kwargs: config.lrSchedulerKwargs,
    greaterIsBetter: greaterIsBetter(config),
  })
}

/** @throws {TunesmithError} `invalid_options` when `optimArgs` do not fit. */
export function optimizerOf(config: TrainingConfig, parameters: ReadonlyMap<string, tf.Variable>): Optimizer {
  return createOptimizer(config.optim, parameterGroups(parameters, config), {
    beta1: config.adamBeta1,
    beta2: config.adamBeta2,
    eps: config.adamEpsilon,
    args: config.optimArgs,
  })
}

interface FromCall {
  /** When training began, by `performance.now()`. */
  start: number
  callbacks: readonly TrainerCallback[]
  evaluate: (run: TrainRun) => ReturnType<TrainRun['evaluate']>
}

/** The parts of a training, new or with the counters of a checkpoint; its tensors come with `restoreRun`. */
export function createRun(
  parts: TrainParts,
  data: BatchRows,
  resumed: ResumedRun | undefined,
  { start, callbacks, evaluate }: FromCall,
): TrainRun {
  const { config, parameters } = parts
  const state = resumed?.state ?? newRunState()
  const control = resumed?.control ?? { ...noControl(), shouldEvaluate: config.evalOnStart }
  const reporters = config.reportTo.map((name) => createReporter(name, config))
  const stream = createBatchStream(data, config, resumed?.saved.stream)
  const planned = plannedSteps(stream.stepsPerEpoch, config)
  // With another batch size or accumulation than before, the steps already taken were of another size: those still to come are added to them.
  const otherSteps = resumed && config.maxSteps <= 0 && resumed.saved.stream.stepsPerEpoch !== stream.stepsPerEpoch
  const totalSteps = otherSteps ? state.globalStep + Math.max(0, planned - stream.stepsDone) : planned
  state.maxSteps = totalSteps
  const run: TrainRun = {
    ...{ ...parts, state, control, stream, totalSteps },
    emitter: createEmitter(reporters, callbacks, { config, state, control }),
    optimizer: optimizerOf(config, parameters),
    schedule: scheduleOf(config, totalSteps),
    scaler: new GradScaler(config.fp16),
    window: new LogWindow(),
    position: stream.state(),
    saveSeconds: 0,
    seconds: () => (resumed?.state.secondsBefore ?? 0) + (performance.now() - start) / 1000,
    evaluate: () => evaluate(run),
  }
  return run
}
