import * as tf from '@tensorflow/tfjs-core'
import type { NativeBackend } from '../backend'
import { replaceKernel } from '../kernel-call'

type Info = tf.TensorInfo

// Codes of the addon.
export const BINARY = { [tf.Add]: 0, [tf.Sub]: 1, [tf.Multiply]: 2, [tf.RealDiv]: 3, [tf.Maximum]: 4, [tf.Minimum]: 5 }
export const UNARY = {
  [tf.Neg]: 0,
  [tf.Square]: 1,
  [tf.Sqrt]: 2,
  [tf.Rsqrt]: 3,
  [tf.Exp]: 4,
  [tf.Log]: 5,
  [tf.Tanh]: 6,
  [tf.Sigmoid]: 7,
  [tf.Relu]: 8,
  [tf.Abs]: 9,
  [tf.Reciprocal]: 10,
}

interface Pattern {
  shape: number[]
  /** 0 alike; 1 b is one row; 2 b is one value per row; 3 a is one row; 4 a is one value per row. */
  mode: number
  outer: number
  inner: number
}

/** How the smaller of two operands repeats over the larger; undefined when the pattern is none of the five. */
export function broadcastPattern(a: number[], b: number[]): Pattern | undefined {
  const [sizeA, sizeB] = [tf.util.sizeFromShape(a), tf.util.sizeFromShape(b)]
  if (tf.util.arraysEqual(a, b)) return { shape: a, mode: 0, outer: 1, inner: sizeA }
  const swapped = sizeA < sizeB || (sizeA === sizeB && a.length < b.length)
  const [large, small] = swapped ? [b, a] : [a, b]
  const size = Math.max(sizeA, sizeB)
  const padded = [...new Array<number>(Math.max(0, large.length - small.length)).fill(1), ...small]
  if (padded.length !== large.length) return undefined
  // The small shape must be ones up to some point and then the same (a row), or the same and then ones (a column).
  let ones = 0
  while (ones < padded.length && padded[ones] === 1) ones++
  const tail = padded.slice(ones)
  if (tf.util.arraysEqual(tail, large.slice(ones))) {
    const inner = tf.util.sizeFromShape(tail)
    if (tail.length === 0) return { shape: large, mode: swapped ? 4 : 2, outer: 1, inner: size }
    return { shape: large, mode: swapped ? 3 : 1, outer: inner === 0 ? 0 : size / inner, inner }
  }
  let same = 0
  while (same < padded.length && padded[same] === large[same]) same++
  if (padded.slice(same).every((n) => n === 1)) {
    const outer = tf.util.sizeFromShape(large.slice(0, same))
    return { shape: large, mode: swapped ? 4 : 2, outer, inner: outer === 0 ? 0 : size / outer }
  }
  return undefined
}

/** Elementwise operations on float32; other types and other broadcasts stay with the CPU backend. */
export function registerElementwise(): void {
  for (const [name, op] of Object.entries(BINARY)) {
    const fallback = tf.getKernel(name, 'cpu')!.kernelFunc
    replaceKernel(name, (args) => {
      const { a, b } = args.inputs as { a: Info; b: Info }
      const backend = args.backend as NativeBackend
      const pattern = a.dtype === 'float32' && b.dtype === 'float32' && broadcastPattern(a.shape, b.shape)
      if (!pattern) return fallback(args)
      const { info, values } = backend.output(pattern.shape, 'float32')
      const { mode, outer, inner } = pattern
      backend.addon.binary(op, mode, outer, inner, backend.floats(a), backend.floats(b), values)
      return info
    })
  }

  for (const [name, op] of Object.entries(UNARY)) {
    const fallback = tf.getKernel(name, 'cpu')!.kernelFunc
    replaceKernel(name, (args) => {
      const { x } = args.inputs as { x: Info }
      const backend = args.backend as NativeBackend
      if (x.dtype !== 'float32') return fallback(args)
      const { info, values } = backend.output(x.shape, 'float32')
      backend.addon.unary(op, values.length, backend.floats(x), values)
      return info
    })
  }

  const addN = tf.getKernel(tf.AddN, 'cpu')!.kernelFunc
  replaceKernel(tf.AddN, (args) => {
    const inputs = args.inputs as unknown as Info[]
    const backend = args.backend as NativeBackend
    const alike = inputs.every((x) => x.dtype === 'float32' && tf.util.arraysEqual(x.shape, inputs[0]!.shape))
    if (!alike || inputs.length < 2) return addN(args)
    const { info, values } = backend.output(inputs[0]!.shape, 'float32')
    let sum = backend.floats(inputs[0]!)
    for (const x of inputs.slice(1)) {
      backend.addon.binary(BINARY[tf.Add], 0, 1, values.length, sum, backend.floats(x), values)
      sum = values
    }
    return info
  })

  const softmax = tf.getKernel(tf.Softmax, 'cpu')!.kernelFunc
  replaceKernel(tf.Softmax, (args) => {
    const { logits } = args.inputs as { logits: Info }
    const backend = args.backend as NativeBackend
    const { dim } = args.attrs as unknown as tf.SoftmaxAttrs
    const cols = logits.shape.at(-1)
    if (logits.dtype !== 'float32' || dim !== logits.shape.length - 1 || !cols) return softmax(args)
    const { info, values } = backend.output(logits.shape, 'float32')
    backend.addon.softmax(values.length / cols, cols, backend.floats(logits), values)
    return info
  })

  // The CPU backend's cast to float32 renames the tensor and leaves int32 numbers in it; C++ needs the real thing.
  const cast = tf.getKernel(tf.Cast, 'cpu')!.kernelFunc
  replaceKernel(tf.Cast, (args) => {
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
