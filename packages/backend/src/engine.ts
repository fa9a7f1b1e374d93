import * as tf from '@tensorflow/tfjs-core'

/** A node of TensorFlow.js' gradient tape, as its engine records it. */
export interface TapeNode {
  id: number
  kernelName: string
  inputs: Record<string, tf.Tensor>
  outputs: tf.Tensor[]
  gradient?: (dys: (tf.Tensor | null)[]) => Record<string, () => tf.Tensor>
  saved?: tf.Tensor[]
}

interface EngineState {
  activeTape: TapeNode[] | null
  gradientDepth: number
  kernelDepth: number
}

/** The parts of TensorFlow.js' engine state that recording and replaying a tape need. They are public but untyped. */
export function engineState(): EngineState {
  return tf.engine().state as unknown as EngineState
}

/** True while operations are being recorded for a gradient. */
export function isRecording(): boolean {
  const state = engineState()
  return state.gradientDepth > 0 && state.kernelDepth === 0
}

/** Runs `f` with recording switched off, whatever surrounds it. */
export function withoutRecording<Result>(f: () => Result): Result {
  const state = engineState()
  state.kernelDepth++
  try {
    return f()
  } finally {
    state.kernelDepth--
  }
}

/** The same values as a constant: gradients do not flow through it. */
export function stopGradient<T extends tf.Tensor>(x: T): T {
  return withoutRecording(() => tf.clone(x))
}

/** Calls a registered kernel by name; absent inputs must be left out of `inputs`. */
export function runKernel(name: string, inputs: Record<string, tf.Tensor>, attrs: object = {}): tf.Tensor[] {
  const outputs = tf.engine().runKernel(name, inputs, attrs as tf.NamedAttrMap) as unknown as tf.Tensor | tf.Tensor[]
  return Array.isArray(outputs) ? outputs : [outputs]
}
