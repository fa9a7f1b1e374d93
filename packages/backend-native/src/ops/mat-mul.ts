import {
  BatchMatMul,
  type BatchMatMulAttrs,
  broadcast_util,
  getKernel,
  type TensorInfo,
  util,
} from '@tensorflow/tfjs-core'
import type { NativeBackend } from '../backend'
import { KernelCall, replaceNativeKernel } from '../kernel-call'

/** Batched matrix products of float32 tensors; other types, and batches that broadcast partly, stay with the CPU backend. */
export function registerMatMul(): void {
  const fallback = getKernel(BatchMatMul, 'cpu')!.kernelFunc
  replaceNativeKernel(BatchMatMul, (args) => {
    const { a, b } = args.inputs as { a: TensorInfo; b: TensorInfo }
    const { transposeA = false, transposeB = false } = args.attrs as unknown as BatchMatMulAttrs
    const backend = args.backend as NativeBackend
    const rank = [a.shape.length, b.shape.length]
    if (a.dtype !== 'float32' || b.dtype !== 'float32') return fallback(args)
    const [outerA, outerB] = [a.shape.slice(0, -2), b.shape.slice(0, -2)]
    const batchA = util.sizeFromShape(outerA)
    const batchB = util.sizeFromShape(outerB)
    const outer = broadcast_util.assertAndGetBroadcastShape(outerA, outerB)
    const batch = util.sizeFromShape(outer)
    if ((batchA !== 1 && batchA !== batch) || (batchB !== 1 && batchB !== batch)) return fallback(args)
    const [k, m] = transposeA ? a.shape.slice(-2) : [a.shape[rank[0]! - 1]!, a.shape[rank[0]! - 2]!]
    const [n, kOfB] = transposeB ? b.shape.slice(-2) : [b.shape[rank[1]! - 1]!, b.shape[rank[1]! - 2]!]
    util.assert(
      k === kOfB,
      () =>
        `Error in matMul: inner shapes (${k}) and (${kOfB}) of Tensors with shapes ${a.shape} and ${b.shape} ` +
        `and transposeA=${transposeA} and transposeB=${transposeB} must match.`,
    )
    const call = new KernelCall('BatchMatMul', args.inputs, backend)
    const { info, values } = call.output(...outer, m!, n!)
    const sizes = [batch, m, n, k, transposeA, transposeB, batchA > 1, batchB > 1]
    call.check(call.addon.matMul(...sizes, backend.floats(a), backend.floats(b), values))
    return info
  })
}
