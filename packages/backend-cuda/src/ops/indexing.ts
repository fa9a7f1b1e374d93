import * as tf from '@tensorflow/tfjs-core'
import { defineCudaOp, type Info, isNumber } from './define'

const sizeOf = tf.util.sizeFromShape

/** Rows by number, their gradient, and numbers as rows. */
export function registerCudaIndexing(): void {
  type Gather = { x: Info; indices: Info }
  defineCudaOp<Gather, tf.GatherV2Attrs>(tf.GatherV2, (backend, { x, indices }, { axis, batchDims }) => {
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
  type Sum = { x: Info; segmentIds: Info }
  defineCudaOp<Sum, tf.UnsortedSegmentSumAttrs>(
    tf.UnsortedSegmentSum,
    (backend, { x, segmentIds }, { numSegments }) => {
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
    },
  )

  defineCudaOp<{ indices: Info }, tf.OneHotAttrs>(tf.OneHot, (backend, { indices }, attrs) => {
    const { dtype, depth, onValue, offValue } = attrs
    const count = sizeOf(indices.shape)
    if (!isNumber({ ...indices, dtype }) || indices.dtype !== 'int32' || backend.isSmall(count * depth))
      return undefined
    const { info, handle } = backend.output([...indices.shape, depth], dtype)
    backend.operations.oneHot({ count, depth, on: onValue, off: offValue, ids: backend.memoryOf(indices), y: handle })
    return info
  })
}
