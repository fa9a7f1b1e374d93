import * as tf from '@tensorflow/tfjs-core'
import { STORAGE } from '../addon'
import { defineCudaOp, type Info } from './define'
import { broadcastStrides, materialize } from './views'

const sizeOf = tf.util.sizeFromShape

/** Matrix products of float32, one or a batch. */
export function registerCudaProducts(): void {
  defineCudaOp<{ a: Info; b: Info }, tf.BatchMatMulAttrs>(tf.BatchMatMul, (backend, { a, b }, attrs) => {
    const { transposeA = false, transposeB = false } = attrs
    if (a.dtype !== 'float32' || b.dtype !== 'float32' || backend.onHost(a, b)) return undefined
    const [rowsA, colsA] = a.shape.slice(-2) as [number, number]
    const [rowsB, colsB] = b.shape.slice(-2) as [number, number]
    const [rows, k] = transposeA ? [colsA, rowsA] : [rowsA, colsA]
    const [inner, n] = transposeB ? [colsB, rowsB] : [rowsB, colsB]
    if (k !== inner) return undefined
    const [batchesA, batchesB] = [a.shape.slice(0, -2), b.shape.slice(0, -2)]
    const batches = tf.broadcast_util.assertAndGetBroadcastShape(batchesA, batchesB)
    const count = sizeOf(batches)
    const single = [sizeOf(batchesA) === 1, sizeOf(batchesB) === 1] as const
    // A batch that repeats in part is spread out first.
    const temporary: Info[] = []
    const spread = (x: Info, shared: boolean): Info | undefined => {
      if (shared || sizeOf(x.shape.slice(0, -2)) === count) return x
      const shape = [...batches, ...x.shape.slice(-2)]
      const made = materialize(backend, x, shape, { strides: broadcastStrides(x.shape, shape) })
      if (made) temporary.push(made)
      return made
    }
    const [left, right] = [spread(a, single[0]), spread(b, single[1])]
    if (!left || !right) return undefined
    // A product over the rows of activations is the gradient of a parameter, which stays float32.
    const bf16 = [a, b].some((x) => backend.tensor(x).storage === STORAGE.bf16) && !transposeA
    const shape = [...batches, rows, n]
    const { info, handle } = backend.output(shape, 'float32', bf16 ? STORAGE.bf16 : STORAGE.f32)
    // Rows of a whole batch times one matrix are one product.
    const flat = single[1] && !transposeA && !single[0]
    const [m, batch] = flat ? [rows * count, 1] : [rows, count]
    backend.operations.matMul({
      ...{ m, n, k, transposeA, transposeB },
      ...{ batch, sharedA: single[0] && batch > 1, sharedB: single[1] && batch > 1 },
      ...{ a: backend.memoryOf(left), b: backend.memoryOf(right), y: handle },
    })
    for (const x of temporary) backend.disposeData(x.dataId)
    return info
  })
}
