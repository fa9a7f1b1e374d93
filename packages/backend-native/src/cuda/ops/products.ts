import * as tf from '@tensorflow/tfjs-core'
import { span } from '../../ops/reduce'
import { STORAGE } from '../addon'
import { defineCudaOp, type Info } from './define'
import { widest } from './elementwise'

/** Matrix products, sums and means of float32. */
export function registerCudaProducts(): void {
  defineCudaOp(tf.BatchMatMul, (backend, inputs, attrs) => {
    const { a, b } = inputs as { a: Info; b: Info }
    const { transposeA = false, transposeB = false } = attrs as unknown as tf.BatchMatMulAttrs
    if (a.dtype !== 'float32' || b.dtype !== 'float32' || backend.onHost(a, b)) return undefined
    const outer = [...a.shape.slice(0, -2), ...b.shape.slice(0, -2)]
    // Batches are for the CPU: nothing in a decoder multiplies them outside of attention.
    if (outer.some((n) => n !== 1) || a.shape.length !== b.shape.length) return undefined
    const [rowsA, colsA] = a.shape.slice(-2) as [number, number]
    const [rowsB, colsB] = b.shape.slice(-2) as [number, number]
    const [m, k] = transposeA ? [colsA, rowsA] : [rowsA, colsA]
    const [inner, n] = transposeB ? [colsB, rowsB] : [rowsB, colsB]
    if (k !== inner) return undefined
    const { info, handle } = backend.output([...a.shape.slice(0, -2), m, n], widest(backend, a, b))
    backend.addon.matMul(m, n, k, transposeA, transposeB, backend.floats(a), backend.floats(b), handle)
    return info
  })

  for (const name of [tf.Sum, tf.Mean])
    defineCudaOp(name, (backend, inputs, attrs) => {
      const { x } = inputs as { x: Info }
      const { axis, keepDims } = attrs as unknown as tf.SumAttrs
      const sizes = x.dtype === 'float32' && !backend.onHost(x) ? span(x.shape, axis) : undefined
      if (!sizes) return undefined
      const { axes, outer, count, inner } = sizes
      const kept = x.shape.map((n, i) => (axes.includes(i) ? 1 : n))
      const shape = keepDims ? kept : x.shape.filter((_, i) => !axes.includes(i))
      const { info, handle } = backend.output(shape, STORAGE.f32)
      backend.addon.reduceSum(outer, count, inner, name === tf.Mean ? 1 / count : 1, backend.floats(x), handle)
      return info
    })
}
