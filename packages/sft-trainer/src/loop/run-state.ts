import type { EvalLog, TrainerControl, TrainerState, TrainLog } from '../callbacks/events'

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
