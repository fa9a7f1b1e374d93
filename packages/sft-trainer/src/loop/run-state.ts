import { snakeCase } from '@tunesmith/core'
import type { EvalLog, TrainerControl, TrainerState, TrainLog } from '../callbacks/events'
import type { BatchStreamState } from '../data/batches'
import type { GradScalerState } from './grad-scaler'
import type { LogWindowState } from './log-window'

/** All that training remembers from step to step besides tensors; what is not optional here is the loop's. */
export interface RunState extends TrainerState {
  /** When the run began, in ms; tells its checkpoints from those of an earlier run in the same folder. */
  startedAt: number
  /** Steps that changed the parameters; the schedule counts these. */
  updates: number
  skippedSteps: number
  nonFiniteInARow: number
  /** Sum of the losses of all steps that had one, and how many had. */
  totalLoss: number
  lossCount: number
  /** Training time before this process. */
  secondsBefore: number
  logs: TrainLog[]
  evals: EvalLog[]
  lastCheckpoint: string | undefined
}

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

export function newRunState(): RunState {
  return {
    startedAt: Date.now(),
    globalStep: 0,
    epoch: 0,
    maxSteps: 0,
    numTokens: 0,
    logHistory: [],
    bestMetric: undefined,
    bestGlobalStep: undefined,
    bestModelCheckpoint: undefined,
    updates: 0,
    skippedSteps: 0,
    nonFiniteInARow: 0,
    totalLoss: 0,
    lossCount: 0,
    secondsBefore: 0,
    logs: [],
    evals: [],
    lastCheckpoint: undefined,
  }
}

export const noControl = (): TrainerControl => ({
  shouldTrainingStop: false,
  shouldEpochStop: false,
  shouldSave: false,
  shouldEvaluate: false,
  shouldLog: false,
})

const withSnakeKeys = (log: object) =>
  Object.fromEntries(Object.entries(log).map(([key, value]) => [snakeCase(key), value]))

export function toTrainerStateJson(saved: SavedRun): object {
  const { run } = saved
  const history = [...run.logs, ...run.evals].sort((a, b) => a.step - b.step)
  return {
    best_global_step: run.bestGlobalStep ?? null,
    best_metric: run.bestMetric ?? null,
    best_model_checkpoint: run.bestModelCheckpoint ?? null,
    epoch: run.epoch,
    global_step: run.globalStep,
    log_history: history.map(withSnakeKeys),
    max_steps: run.maxSteps,
    num_input_tokens_seen: run.numTokens,
    tunesmith: saved,
  }
}
