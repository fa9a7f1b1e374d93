import { BatchMatMul, type BatchMatMulAttrs, broadcast_util, type TensorInfo, util } from '@tensorflow/tfjs-core'
import { accelerate } from './accelerate'

/** Batched matrix products of float32 tensors; other types, and batches that broadcast partly, stay with the CPU backend. */
export function registerMatMul(): void {
  accelerate<{ a: TensorInfo; b: TensorInfo }, BatchMatMulAttrs>(
    BatchMatMul,
    (backend, { a, b }, { transposeA = false, transposeB = false }) => {
      const rank = [a.shape.length, b.shape.length]
      if (a.dtype !== 'float32' || b.dtype !== 'float32') return undefined
      const [outerA, outerB] = [a.shape.slice(0, -2), b.shape.slice(0, -2)]
      const batchA = util.sizeFromShape(outerA)
      const batchB = util.sizeFromShape(outerB)
      const outer = broadcast_util.assertAndGetBroadcastShape(outerA, outerB)
      const batch = util.sizeFromShape(outer)
      if ((batchA !== 1 && batchA !== batch) || (batchB !== 1 && batchB !== batch)) return undefined
      const [k, m] = transposeA ? a.shape.slice(-2) : [a.shape[rank[0]! - 1]!, a.shape[rank[0]! - 2]!]
      const [n, kOfB] = transposeB ? b.shape.slice(-2) : [b.shape[rank[1]! - 1]!, b.shape[rank[1]! - 2]!]
      util.assert(
        k === kOfB,
        () =>
          `Error in matMul: inner shapes (${k}) and (${kOfB}) of Tensors with shapes ${a.shape} and ${b.shape} ` +
          `and transposeA=${transposeA} and transposeB=${transposeB} must match.`,
      )
      const { info, values } = backend.output([...outer, m!, n!], 'float32')
      backend.operations.matMul({
        ...{ batch, m: m!, n: n!, k, transposeA, transposeB, aBatched: batchA > 1, bBatched: batchB > 1 },
        ...{ a: backend.floats(a), b: backend.floats(b), c: values },
      })
      return info
    },
  )
}
