import * as tf from '@tensorflow/tfjs-core'

/** One of the tensors an optimizer keeps beside a parameter. */
export interface StateTensor {
  /** In a checkpoint. `U8` bytes lie four to an int32 in memory. */
  dtype: 'F32' | 'U8'
  shape: readonly number[]
  /** What it is filled with at first. Default 0. */
  initial?: number
}

const elements = ({ shape }: StateTensor) => shape.reduce((product, n) => product * n, 1)

/** In a checkpoint. */
export const stateBytes = (tensor: StateTensor) => (tensor.dtype === 'F32' ? 4 : 1) * elements(tensor)

export function newVariable(tensor: StateTensor): tf.Variable {
  const { dtype, shape, initial = 0 } = tensor
  if (dtype === 'F32') return tf.tidy(() => tf.variable(tf.fill([...shape], initial, 'float32'), false))
  const words = new Int32Array(Math.ceil(elements(tensor) / 4))
  new Uint8Array(words.buffer).fill(initial, 0, elements(tensor))
  return tf.tidy(() => tf.variable(tf.tensor1d(words, 'int32'), false))
}

export function bytesOf(variable: tf.Variable, tensor: StateTensor): Uint8Array {
  const { buffer, byteOffset, byteLength } = variable.dataSync()
  return new Uint8Array(buffer, byteOffset, tensor.dtype === 'F32' ? byteLength : elements(tensor))
}

export function fill(variable: tf.Variable, bytes: Uint8Array, { dtype, shape }: StateTensor): void {
  const padded = new Uint8Array(Math.ceil(bytes.length / 4) * 4)
  padded.set(bytes)
  tf.tidy(() =>
    variable.assign(
      dtype === 'F32'
        ? tf.tensor(new Float32Array(padded.buffer), [...shape])
        : tf.tensor1d(new Int32Array(padded.buffer), 'int32'),
    ),
  )
}
