import type { TrainingConfig } from '../config'

/** What is logged every `loggingSteps`; averages over the optimizer steps since the last log. */
export interface TrainLog {
  step: number
  epoch: number
  /** Mean over steps of each step's loss: per labelled token in supervised fine-tuning. */
  loss: number
  /** Before clipping, of the last step. */
  gradNorm: number
  /** Used by the last step. */
  learningRate: number
  /** Mean over micro-batches of each one's share of correctly predicted labels. */
  meanTokenAccuracy: number
  /** Mean over micro-batches of each one's mean entropy, in nats. */
  entropy: number
  /** Tokens read since the start; goes on after a resume. */
  numTokens: number
  tokensPerSecond: number
  /** Resident memory of the process in bytes. */
  memory: number
  /** Share of the tokens that are padding: always 0, batches have none. */
  paddingShare: number
  /** Sequences per row of the batch: 1 without packing. */
  sequencesPerRow: number
  /** Updates that were left out so far, because loss or gradient was not finite. */
  skippedSteps: number
  /** What fp16's loss is multiplied by before the backward pass; absent without fp16. */
  lossScale?: number
  /** Metrics of the objective, under TRL's names: `rewards/chosen`, `logps/rejected`. */
  [metric: string]: number | undefined
}

export interface EvalLog {
  step: number
  epoch: number
  evalLoss: number
  evalPerplexity: number
  evalMeanTokenAccuracy: number
  evalEntropy: number
  /** What transformers and TRL call `eval_loss`: depends on the batch size where rows differ in length. */
  evalLossOfBatches: number
  evalNumTokens: number
  evalRuntime: number
  /** Generation metrics and what `computeMetrics` returned, named `evalRougeL` and the like. */
  [metric: string]: number
}

/** Known before the first step. */
export interface TrainPlan {
  config: TrainingConfig
  totalSteps: number
  stepsPerEpoch: number
  tokensPerEpoch: number
  labelledTokensPerEpoch: number
  sequences: number
  /** Tokens over capacity, 1 without packing. */
  packingEfficiency: number
  trainableParameters: number
  allParameters: number
  /** Estimated bytes of a step: weights, gradients, optimizer state, activations. */
  memory: MemoryEstimate
  /** Steps already done by the checkpoint this run goes on from; 0 for a new run. */
  resumedStep: number
  resumedFrom: string | undefined
}

export interface MemoryEstimate {
  weights: number
  gradients: number
  optimizer: number
  activations: number
  total: number
  /** Bytes there are for all of it: what is free when training starts, and the weights that are loaded already. */
  available: number
}

export interface TrainResult {
  /** Optimizer steps done, those before a resume included. */
  steps: number
  /** Mean of all steps' losses. */
  trainLoss: number
  /** Seconds. */
  trainRuntime: number
  numTokens: number
  logs: TrainLog[]
  evals: EvalLog[]
  /** Why training ended: all steps were done, a callback asked for it, or a signal did. */
  ended: 'finished' | 'stopped' | 'interrupted'
  /** The signal, or `request` for {@link SFTTrainer.interrupt}. */
  interruptedBy?: 'SIGTERM' | 'SIGINT' | 'request' | undefined
  /** The newest checkpoint, when there is one. */
  lastCheckpoint: string | undefined
  bestCheckpoint: string | undefined
  skippedSteps: number
}

/** What callbacks may look at; changes from step to step, and is saved in each checkpoint's trainer_state.json. */
export interface TrainerState {
  /** Optimizer steps done. */
  globalStep: number
  epoch: number
  maxSteps: number
  numTokens: number
  logHistory: (TrainLog | EvalLog)[]
  bestMetric: number | undefined
  bestGlobalStep: number | undefined
  bestModelCheckpoint: string | undefined
}

/** Trainer's control flags: a callback sets one, the loop acts at the next place it can, and clears it. */
export interface TrainerControl {
  /** Ends training after this step; what was learnt is kept. */
  shouldTrainingStop: boolean
  shouldEpochStop: boolean
  shouldSave: boolean
  shouldEvaluate: boolean
  shouldLog: boolean
}

/** The second argument of every event. */
export interface CallbackContext {
  readonly config: TrainingConfig
  readonly state: Readonly<TrainerState>
  readonly control: TrainerControl
}

export interface StepEvent {
  step: number
  totalSteps: number
  /** Per labelled token, of this step. */
  loss: number
  /** Since the last log. */
  tokensPerSecond: number
}

/**
 * Trainer's events. Called at the moments their names say; may be asynchronous, the trainer waits. An error thrown by a
 * callback ends training.
 */
export interface TrainerCallback {
  onTrainBegin?(plan: TrainPlan, context: CallbackContext): void | Promise<void>
  onEpochBegin?(event: { epoch: number }, context: CallbackContext): void | Promise<void>
  /** Before the first micro-batch of an optimizer step; `step` is the one about to be made. */
  onStepBegin?(event: { step: number }, context: CallbackContext): void | Promise<void>
  /** After each micro-batch but the last of its step. */
  onSubstepEnd?(event: { step: number; micro: number }, context: CallbackContext): void | Promise<void>
  /** Gradients are there and clipped, nothing is updated yet. */
  onPreOptimizerStep?(event: { step: number; gradNorm: number }, context: CallbackContext): void | Promise<void>
  /** After each optimizer step, skipped ones included. */
  onStepEnd?(event: StepEvent, context: CallbackContext): void | Promise<void>
  onLog?(log: TrainLog, context: CallbackContext): void | Promise<void>
  onEvaluate?(log: EvalLog, context: CallbackContext): void | Promise<void>
  /** After a checkpoint is whole on disk. */
  onSave?(event: { step: number; folder: string; seconds: number }, context: CallbackContext): void | Promise<void>
  onEpochEnd?(event: { epoch: number }, context: CallbackContext): void | Promise<void>
  onTrainEnd?(result: TrainResult, context: CallbackContext): void | Promise<void>
  /** Training ends with an error, and without `onTrainEnd`. */
  onTrainError?(event: { error: Error }, context: CallbackContext): void | Promise<void>
  /** Something a person should know: a skipped step, an incomplete checkpoint, a full disk. */
  onNotice?(notice: Notice, context: CallbackContext): void | Promise<void>
  /** What the callback remembers, plain JSON, saved with each checkpoint under `name`. */
  state?(): Record<string, unknown>
  load?(state: Record<string, unknown>): void
  /** Needed with `state`. */
  name?: string
}

export interface Notice {
  level: 'info' | 'warning'
  step: number
  message: string
}
