import * as tf from '@tensorflow/tfjs-core'
import { BINARY, broadcastPattern, UNARY } from '@tunesmith/backend/contract'
import { type NativeBackend, replaceNativeKernel } from '../backend'

type Info = tf.TensorInfo

/** Elementwise operations on float32; other types and other broadcasts stay with the CPU backend. */
export function registerElementwise(): void {
  for (const [name, op] of Object.entries(BINARY)) {
    const fallback = tf.getKernel(name, 'cpu')!.kernelFunc
    replaceNativeKernel(name, (args) => {
      const { a, b } = args.inputs as { a: Info; b: Info }
      const backend = args.backend as NativeBackend
      const pattern = a.dtype === 'float32' && b.dtype === 'float32' && broadcastPattern(a.shape, b.shape)
      if (!pattern) return fallback(args)
      const { info, values } = backend.output(pattern.shape, 'float32')
      const { mode, outer, inner } = pattern
      backend.operations.binary({ op, mode, outer, inner, a: backend.floats(a), b: backend.floats(b), y: values })
      return info
    })
  }

  for (const [name, op] of Object.entries(UNARY)) {
    const fallback = tf.getKernel(name, 'cpu')!.kernelFunc
    replaceNativeKernel(name, (args) => {
      const { x } = args.inputs as { x: Info }
      const backend = args.backend as NativeBackend
      if (x.dtype !== 'float32') return fallback(args)
      const { info, values } = backend.output(x.shape, 'float32')
      backend.operations.unary({ op, size: values.length, x: backend.floats(x), y: values })
      return info
    })
  }

  const addN = tf.getKernel(tf.AddN, 'cpu')!.kernelFunc
  replaceNativeKernel(tf.AddN, (args) => {
    const inputs = args.inputs as unknown as Info[]
    const backend = args.backend as NativeBackend
    const alike = inputs.every((x) => x.dtype === 'float32' && tf.util.arraysEqual(x.shape, inputs[0]!.shape))
    if (!alike || inputs.length < 2) return addN(args)
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

  const softmax = tf.getKernel(tf.Softmax, 'cpu')!.kernelFunc
  replaceNativeKernel(tf.Softmax, (args) => {
    const { logits } = args.inputs as { logits: Info }
    const backend = args.backend as NativeBackend
    const { dim } = args.attrs as unknown as tf.SoftmaxAttrs
    const cols = logits.shape.at(-1)
    if (logits.dtype !== 'float32' || dim !== logits.shape.length - 1 || !cols) return softmax(args)
    const { info, values } = backend.output(logits.shape, 'float32')
    backend.operations.softmax({ rows: values.length / cols, cols, x: backend.floats(logits), y: values })
    return info
  })

  // The CPU backend's cast to float32 renames the tensor and leaves int32 numbers in it; C++ needs the real thing.
  const cast = tf.getKernel(tf.Cast, 'cpu')!.kernelFunc
  replaceNativeKernel(tf.Cast, (args) => {
    const { x } = args.inputs as { x: Info }
    const { dtype } = args.attrs as unknown as tf.CastAttrs
    const backend = args.backend as NativeBackend
    const plain = ['float32', 'int32', 'bool']
    if (x.dtype === dtype || !plain.includes(x.dtype) || (dtype !== 'float32' && dtype !== 'int32')) return cast(args)
    const from = backend.data.get(x.dataId).values as Float32Array
    const { info, values } = backend.output(x.shape, dtype)
    values.set(from)
    return info
  })
}
