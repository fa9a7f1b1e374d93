import * as tf from '@tensorflow/tfjs-core'
import { BINARY, broadcastPattern, UNARY } from '@tunesmith/backend/contract'
import { accelerate } from './accelerate'

type Info = tf.TensorInfo

/** Elementwise operations on float32; other types and other broadcasts stay with the CPU backend. */
export function registerElementwise(): void {
  for (const [name, op] of Object.entries(BINARY)) {
    accelerate<{ a: Info; b: Info }>(name, (backend, { a, b }) => {
      const pattern = a.dtype === 'float32' && b.dtype === 'float32' && broadcastPattern(a.shape, b.shape)
      if (!pattern) return undefined
      const { info, values } = backend.output(pattern.shape, 'float32')
      const { mode, outer, inner } = pattern
      backend.operations.binary({ op, mode, outer, inner, a: backend.floats(a), b: backend.floats(b), y: values })
      return info
    })
  }

  for (const [name, op] of Object.entries(UNARY)) {
    accelerate<{ x: Info }>(name, (backend, { x }) => {
      if (x.dtype !== 'float32') return undefined
      const { info, values } = backend.output(x.shape, 'float32')
      backend.operations.unary({ op, size: values.length, x: backend.floats(x), y: values })
      return info
    })
  }

  accelerate<Info[]>(tf.AddN, (backend, inputs) => {
    const alike = inputs.every((x) => x.dtype === 'float32' && tf.util.arraysEqual(x.shape, inputs[0]!.shape))
    if (!alike || inputs.length < 2) return undefined
    const { info, values } = backend.output(inputs[0]!.shape, 'float32')
    let sum = backend.floats(inputs[0]!)
    for (const x of inputs.slice(1)) {
      backend.operations.binary({
        ...{ op: BINARY[tf.Add], mode: 0, outer: 1, inner: values.length },
        ...{ a: sum, b: backend.floats(x), y: values },
      })
      sum = values
    }
    return info
  })

  accelerate<{ logits: Info }, tf.SoftmaxAttrs>(tf.Softmax, (backend, { logits }, { dim }) => {
    const cols = logits.shape.at(-1)
    if (logits.dtype !== 'float32' || dim !== logits.shape.length - 1 || !cols) return undefined
    const { info, values } = backend.output(logits.shape, 'float32')
    backend.operations.softmax({ rows: values.length / cols, cols, x: backend.floats(logits), y: values })
    return info
  })

  // The CPU backend's cast to float32 renames the tensor and leaves int32 numbers in it; C++ needs the real thing.
  accelerate<{ x: Info }, tf.CastAttrs>(tf.Cast, (backend, { x }, { dtype }) => {
    const plain = ['float32', 'int32', 'bool']
    if (x.dtype === dtype || !plain.includes(x.dtype) || (dtype !== 'float32' && dtype !== 'int32')) return undefined
    const from = backend.data.get(x.dataId).values as Float32Array
    const { info, values } = backend.output(x.shape, dtype)
    values.set(from)
    return info
  })
}
