import * as tf from '@tensorflow/tfjs-core'
import { BINARY, span } from '@tunesmith/backend/contract'
import { accelerate } from './accelerate'

/** Sums and means of float32, accumulated in blocks so that long ones keep their precision. */
export function registerReduce(): void {
  for (const name of [tf.Sum, tf.Mean]) {
    accelerate<{ x: tf.TensorInfo }, tf.SumAttrs>(name, (backend, { x }, { axis, keepDims }) => {
      const sizes = x.dtype === 'float32' ? span(x.shape, axis) : undefined
      if (!sizes) return undefined
      const { axes, outer, count, inner } = sizes
      const kept = x.shape.map((n, i) => (axes.includes(i) ? 1 : n))
      const { info, values } = backend.output(keepDims ? kept : x.shape.filter((_, i) => !axes.includes(i)), 'float32')
      backend.operations.reduceSum({ outer, axis: count, inner, x: backend.floats(x), y: values })
      if (name === tf.Mean)
        backend.operations.binary({
          ...{ op: BINARY[tf.RealDiv], mode: 2, outer: 1, inner: values.length },
          ...{ a: values, b: Float32Array.of(count), y: values },
        })
      return info
    })
  }
}
