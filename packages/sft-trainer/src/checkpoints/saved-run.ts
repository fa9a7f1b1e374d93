import { renameKeys, snakeCase } from '@tunesmith/core'
import type { TrainerControl } from '../callbacks/events'
import type { BatchStreamState } from '../data/batches'
import type { GradScalerState } from '../loop/grad-scaler'
import type { LogWindowState } from '../loop/log-window'
import type { RunState } from '../loop/run-state'
import type { TrainRun } from '../loop/train-run'

/** A checkpoint's trainer_state.json: transformers' keys for tools that read them, and `run` to go on from. */
export interface SavedRun {
  run: Omit<RunState, 'logHistory'>
  control: TrainerControl
  stream: BatchStreamState
  window: LogWindowState
  scaler: GradScalerState
  schedule: Record<string, number>
  optim: string
  optimizer: Record<string, number>
  callbacks: Record<string, Record<string, unknown>>
  dataDigest: string
  seed: number
}

/** What is remembered of a run after its last whole step, besides tensors. */
export function savedRun(run: TrainRun): SavedRun {
  const { state, control, config, optimizer, emitter } = run
  return {
    run: { ...state, logHistory: [], secondsBefore: run.seconds() } as SavedRun['run'],
    control,
    stream: run.position,
    window: run.window.state(),
    scaler: run.scaler.state(),
    schedule: run.schedule.state(),
    optim: config.optim,
    optimizer: optimizer.scalars(),
    callbacks: Object.fromEntries(
      emitter.callbacks.flatMap(({ name, state }) => (name && state ? [[name, state()]] : [])),
    ),
    dataDigest: run.dataDigest,
    seed: config.seed,
  }
}

/** Logs and evaluations in the order of their steps. */
export const logHistory = ({ logs, evals }: Pick<RunState, 'logs' | 'evals'>): RunState['logHistory'] =>
  [...logs, ...evals].sort((a, b) => a.step - b.step)

export function toTrainerStateJson(saved: SavedRun): object {
  const { run } = saved
  return {
    best_global_step: run.bestGlobalStep ?? null,
    best_metric: run.bestMetric ?? null,
    best_model_checkpoint: run.bestModelCheckpoint ?? null,
    epoch: run.epoch,
    global_step: run.globalStep,
    log_history: logHistory(run).map((log) => renameKeys(log, snakeCase)),
    max_steps: run.maxSteps,
    num_input_tokens_seen: run.numTokens,
    tunesmith: saved,
  }
}
