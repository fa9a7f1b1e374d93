import * as tf from '@tensorflow/tfjs-core'
import type { NativeBackend } from '../backend'
import { replaceKernel } from '../kernel-call'

/** Sizes before, along and after the reduced axes when these lie side by side; undefined otherwise. */
export function span(shape: number[], axis: number | number[] | undefined) {
  const all = axis === undefined || (Array.isArray(axis) && axis.length === 0)
  const axes = (all ? shape.map((_, i) => i) : tf.util.parseAxisParam(axis, shape)).sort((a, b) => a - b)
  if (axes.some((value, i) => value !== axes[0]! + i)) return undefined
  const [first, end] = [axes[0] ?? 0, (axes.at(-1) ?? -1) + 1]
  const size = tf.util.sizeFromShape
  return {
    axes,
    outer: size(shape.slice(0, first)),
    count: size(shape.slice(first, end)),
    inner: size(shape.slice(end)),
  }
}

/** Sums and means of float32, accumulated in blocks so that long ones keep their precision. */
export function registerReduce(): void {
  for (const name of [tf.Sum, tf.Mean]) {
    const fallback = tf.getKernel(name, 'cpu')!.kernelFunc
    replaceKernel(name, (args) => {
      const { x } = args.inputs as { x: tf.TensorInfo }
      const { axis, keepDims } = args.attrs as unknown as tf.SumAttrs
      const backend = args.backend as NativeBackend
      const sizes = x.dtype === 'float32' ? span(x.shape, axis) : undefined
      if (!sizes) return fallback(args)
      const { axes, outer, count, inner } = sizes
      const kept = x.shape.map((n, i) => (axes.includes(i) ? 1 : n))
      const { info, values } = backend.output(keepDims ? kept : x.shape.filter((_, i) => !axes.includes(i)), 'float32')
      backend.addon.reduceSum(outer, count, inner, backend.floats(x), values)
      if (name === tf.Mean) backend.addon.binary(3, 2, 1, values.length, values, Float32Array.of(count), values)
      return info
    })
  }
}
