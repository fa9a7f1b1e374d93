import * as tf from '@tensorflow/tfjs-core'
import { span } from '@tunesmith/backend/contract'
import type { NativeBackend } from '../backend'
import { replaceNativeKernel } from '../kernel-call'

/** Sums and means of float32, accumulated in blocks so that long ones keep their precision. */
export function registerReduce(): void {
  for (const name of [tf.Sum, tf.Mean]) {
    const fallback = tf.getKernel(name, 'cpu')!.kernelFunc
    replaceNativeKernel(name, (args) => {
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
