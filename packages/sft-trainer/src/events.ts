import type { SFTConfig } from './config'

/** What is logged every `loggingSteps`; averages over the optimizer steps since the last log. */
export interface TrainLog {
  step: number
  epoch: number
  /** Mean over steps of each step's loss per labelled token. */
  loss: number
  /** Before clipping, of the last step. */
  gradNorm: number
  /** Used by the last step. */
  learningRate: number
  /** Mean over micro-batches of each one's share of correctly predicted labels. */
  meanTokenAccuracy: number
  /** Mean over micro-batches of each one's mean entropy, in nats. */
  entropy: number
  /** Tokens read since the start. */
  numTokens: number
  tokensPerSecond: number
  /** Resident memory of the process in bytes. */
  memory: number
}

export interface EvalLog {
  step: number
  epoch: number
  evalLoss: number
  evalPerplexity: number
  evalMeanTokenAccuracy: number
  evalEntropy: number
  evalNumTokens: number
  evalRuntime: number
}

/** Known before the first step. */
export interface TrainPlan {
  config: SFTConfig
  totalSteps: number
  stepsPerEpoch: number
  tokensPerEpoch: number
  labelledTokensPerEpoch: number
  sequences: number
  /** Tokens over capacity, 1 without packing. */
  packingEfficiency: number
  trainableParameters: number
  allParameters: number
}

export interface TrainResult {
  steps: number
  /** Mean of all steps' losses. */
  trainLoss: number
  /** Seconds. */
  trainRuntime: number
  numTokens: number
  logs: TrainLog[]
  evals: EvalLog[]
}

/** Called by the trainer at the moments their names say; may be asynchronous, the trainer waits. */
export interface TrainerCallback {
  onTrainBegin?(plan: TrainPlan): void | Promise<void>
  /** After each optimizer step. */
  onStepEnd?(event: { step: number; totalSteps: number; loss: number; tokensPerSecond: number }): void | Promise<void>
  onLog?(log: TrainLog): void | Promise<void>
  onEvaluate?(log: EvalLog): void | Promise<void>
  onTrainEnd?(result: TrainResult): void | Promise<void>
}
