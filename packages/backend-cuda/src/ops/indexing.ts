import * as tf from '@tensorflow/tfjs-core'
import { defineCudaOp, type Info, isNumber } from './define'

const sizeOf = tf.util.sizeFromShape

/** Rows by number, their gradient, and numbers as rows. */
export function registerCudaIndexing(): void {
  defineCudaOp(tf.GatherV2, (backend, inputs, attrs) => {
    const { x, indices } = inputs as { x: Info; indices: Info }
    const { axis, batchDims } = attrs as unknown as tf.GatherV2Attrs
    if (!isNumber(x) || indices.dtype !== 'int32' || backend.onHost(x)) return undefined
    const along = tf.util.parseAxisParam(axis, x.shape)[0]!
    const { batchSize, outerSize, dimSize, sliceSize, outputShape } =
      tf.backend_util.segment_util.collectGatherOpShapeInfo(x as tf.Tensor, indices as tf.Tensor, along, batchDims ?? 0)
    // An id outside is the CPU backend's to refuse; ids that only the device has give NaN there.
    const known = backend.knownInts(indices)
    if (known?.some((id) => id < 0 || id >= dimSize)) return undefined
    const { info, handle } = backend.outputLike(x, outputShape)
    const count = sizeOf(indices.shape) / batchSize
    const sizes = { batch: batchSize, outer: outerSize, rows: dimSize, inner: sliceSize, count }
    backend.operations.gather({ ...sizes, x: backend.memoryOf(x), ids: backend.memoryOf(indices), y: handle })
    return info
  })

  // Sums by number are what the gradient of an embedding is: rows sorted by id, no atomics.
  defineCudaOp(tf.UnsortedSegmentSum, (backend, inputs, attrs) => {
    const { x, segmentIds } = inputs as { x: Info; segmentIds: Info }
    const { numSegments } = attrs as unknown as tf.UnsortedSegmentSumAttrs
    if (x.dtype !== 'float32' || segmentIds.shape.length !== 1 || backend.onHost(x)) return undefined
    const ids = backend.hostInts(segmentIds)
    if (ids.some((id) => id < 0 || id >= numSegments)) return undefined
    const inner = x.shape.slice(1)
    const { info, handle } = backend.output([numSegments, ...inner])
    backend.operations.EmbeddingGrad({
      ...{ tokens: ids.length, width: sizeOf(inner), outFeatures: numSegments },
      ...{ dy: backend.memoryOf(x), ids: backend.memoryOf(segmentIds), idsHost: ids, dWeight: handle },
    })
    return info
  })

  defineCudaOp(tf.OneHot, (backend, inputs, attrs) => {
    const { indices } = inputs as { indices: Info }
    const { dtype, depth, onValue, offValue } = attrs as unknown as tf.OneHotAttrs
    const count = sizeOf(indices.shape)
    if (!isNumber({ ...indices, dtype }) || indices.dtype !== 'int32' || backend.isSmall(count * depth))
      return undefined
    const { info, handle } = backend.output([...indices.shape, depth], dtype)
    backend.operations.oneHot({ count, depth, on: onValue, off: offValue, ids: backend.memoryOf(indices), y: handle })
    return info
  })
}
