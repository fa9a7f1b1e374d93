import type * as tf from '@tensorflow/tfjs-core'
import type { CausalLM } from '@tunesmith/models'
import type { PeftModel } from '@tunesmith/peft-lora'
import type { Tokenizer } from '@tunesmith/tokenization'
import type { Emitter } from '../callbacks/emitter'
import type { EvalLog, TrainerControl } from '../callbacks/events'
import type { TrainingConfig } from '../config'
import type { BatchStream, BatchStreamState } from '../data/batches'
import type { Optimizer } from '../optimizers'
import type { Schedule } from '../schedules'
import type { GradScaler } from './grad-scaler'
import type { Interrupt } from './interrupt'
import type { LogWindow } from './log-window'
import type { Objective } from './objective'
import type { RunState } from './run-state'

/** What a training gets from its trainer. */
export interface TrainParts {
  config: TrainingConfig
  model: CausalLM
  /** Saved beside the weights, when there is one. */
  tokenizer: Tokenizer | undefined
  objective: Objective
  /** The adapter that is trained; without one, `parameters` are the model's own. */
  peft: PeftModel | undefined
  parameters: ReadonlyMap<string, tf.Variable>
  interrupt: Interrupt
  signal: AbortSignal | undefined
  /** Tells whether a checkpoint was made with the same data. */
  dataDigest: string
}

/** One training with everything it needs, new or just restored from a checkpoint. */
export interface TrainRun extends TrainParts {
  stream: BatchStream
  optimizer: Optimizer
  schedule: Schedule
  scaler: GradScaler
  state: RunState
  control: TrainerControl
  /** Since the last log. */
  window: LogWindow
  /** Where the data was after the last whole step. */
  position: BatchStreamState
  totalSteps: number
  emitter: Emitter
  /** Undefined when it was interrupted. */
  evaluate: () => Promise<EvalLog | undefined>
  /** Of the last save; 0 before the first. */
  saveSeconds: number
  /** Training time so far, that before a resume included. */
  seconds: () => number
}
