import type * as tf from '@tensorflow/tfjs-core'
import type { TensorReader, TensorToWrite } from '@tunesmith/hub'

/** Parameters that are treated alike. */
export interface ParameterGroup {
  /** Trainable variables by name; the names are those of the gradients and of the state in a checkpoint. */
  parameters: ReadonlyMap<string, tf.Variable>
  /** Multiplies the learning rate: 1, or LoRA+'s ratio for the B matrices. */
  lrScale: number
  /** Decoupled decay; 0 for norms and biases. */
  weightDecay: number
}

/** Updates variables in place. The state is made on the first step and is the same on every backend. */
export interface Optimizer {
  /**
   * One update.
   *
   * @param grads by parameter name; the caller disposes them.
   * @param lr of this step, after the schedule and before each group's `lrScale`.
   * @param gradScale multiplies every gradient first: clipping and loss scaling in one.
   */
  step(grads: ReadonlyMap<string, tf.Tensor>, lr: number, gradScale: number): void
  /** Numbers of the state, plain JSON: how many steps were made, and what else is not a tensor. */
  scalars(): Record<string, number>
  /** The state's tensors, named `<parameter>.<state>` like `...lora_A.weight.exp_avg`; `data` may be made when asked for. */
  tensors(): Iterable<TensorToWrite>
  /**
   * Continues from a saved state, bit for bit.
   *
   * @throws {TunesmithError} `incompatible` naming the tensors that are missing or of another shape.
   */
  load(scalars: Record<string, number>, tensors: TensorReader): Promise<void>
  /** Bytes the state takes (or will take, before the first step), for the summary. */
  bytes(): number
  dispose(): void
}
