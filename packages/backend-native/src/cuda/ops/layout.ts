import * as tf from '@tensorflow/tfjs-core'
import { STORAGE, type Storage } from '../addon'
import type { CudaBackend } from '../backend'
import { defineCudaOp, type Info } from './define'
import { widest } from './elementwise'

const sizeOf = tf.util.sizeFromShape
const isNumeric = (x: Info) => x.dtype === 'float32' || x.dtype === 'int32'

/** The tensor's memory in a storage type, and what to free when it had to be converted. */
function stored(backend: CudaBackend, x: Info, storage: Storage): { handle: number; temporary: boolean } {
  const handle = backend.floats(x)
  if (backend.storageOf(x) === storage) return { handle, temporary: false }
  const size = sizeOf(x.shape)
  const converted = backend.addon.allocate(size, storage, 'working memory')
  backend.addon.convert(size, handle, converted)
  return { handle: converted, temporary: true }
}

function registerTranspose(): void {
  defineCudaOp(tf.Transpose, (backend, inputs, attrs) => {
    const { x } = inputs as { x: Info }
    const { perm } = attrs as unknown as tf.TransposeAttrs
    if (x.dtype !== 'float32' || backend.onHost(x)) return undefined
    // Only what is a matrix when axes of length one are left out: the rest is a rotation of its axes.
    const shift = perm.indexOf(0)
    const rank = perm.length
    if (rank < 2 || !perm.every((axis, i) => (axis + shift) % rank === i)) return undefined
    const cols = sizeOf(x.shape.slice(rank - shift))
    const rows = sizeOf(x.shape.slice(0, rank - shift))
    if (rows > 2_097_120) return undefined
    const { info, handle } = backend.output(
      perm.map((axis) => x.shape[axis]!),
      widest(backend, x),
    )
    backend.addon.transpose2d(rows, cols, backend.floats(x), handle)
    return info
  })
}

function registerConcat(): void {
  defineCudaOp(tf.Concat, (backend, inputs, attrs) => {
    const all = inputs as unknown as Info[]
    const first = all[0]!
    if (!isNumeric(first) || all.some((x) => x.dtype !== first.dtype) || backend.onHost(...all)) return undefined
    const axis = tf.util.parseAxisParam((attrs as unknown as tf.ConcatAttrs).axis, first.shape)[0]!
    const shapes = all.map((x) => x.shape)
    tf.backend_util.assertParamsConsistent(shapes, axis)
    const shape = tf.backend_util.computeOutShape(shapes, axis)
    const storage = first.dtype === 'int32' ? STORAGE.i32 : widest(backend, ...all)
    const { info, handle } = backend.output(shape, storage)
    const outer = sizeOf(shape.slice(0, axis))
    const width = sizeOf(shape.slice(axis))
    let at = 0
    for (const x of all) {
      const part = sizeOf(x.shape.slice(axis))
      if (part > 0 && outer > 0) {
        const from = stored(backend, x, storage)
        backend.addon.copyStrided(outer, part, from.handle, 0, part, handle, at, width)
        if (from.temporary) backend.addon.free(from.handle)
      }
      at += part
    }
    return info
  })
}

function registerSlice(): void {
  defineCudaOp(tf.Slice, (backend, inputs, attrs) => {
    const { x } = inputs as { x: Info }
    const { begin, size } = attrs as unknown as tf.SliceAttrs
    if (!isNumeric(x) || backend.onHost(x)) return undefined
    const [start, shape] = tf.slice_util.parseSliceParams(x as tf.Tensor, begin, size)
    tf.slice_util.assertParamsValid(x as tf.Tensor, start, shape)
    // One strided copy: whole axes, at most one cut axis after rows that are all taken, or a cut of the first axis as well.
    const cut = shape.map((n, axis) => n !== x.shape[axis])
    const last = cut.lastIndexOf(true)
    if (cut.slice(1, Math.max(last, 1)).some(Boolean)) return undefined
    const { info, handle } = backend.output(shape, backend.storageOf(x))
    const total = sizeOf(shape)
    if (total === 0) return info
    const tail = sizeOf(x.shape.slice(Math.max(last, 0) + 1))
    const run = last < 0 ? total : shape[last]! * tail
    const stride = last < 0 ? total : x.shape[last]! * tail
    const firstRow = last > 0 ? start[0]! * sizeOf(x.shape.slice(1, last)) : 0
    const offset = firstRow * stride + (last < 0 ? 0 : start[last]! * tail)
    backend.addon.copyStrided(total / run, run, backend.floats(x), offset, Math.max(stride, run), handle, 0, run)
    return info
  })
}

function registerCast(): void {
  defineCudaOp(tf.Cast, (backend, inputs, attrs) => {
    const { x } = inputs as { x: Info }
    const { dtype } = attrs as unknown as tf.CastAttrs
    if (x.dtype === dtype && isNumeric(x)) {
      backend.incRef(x.dataId)
      return { dataId: x.dataId, shape: x.shape, dtype }
    }
    if ((x.dtype !== 'int32' && x.dtype !== 'bool') || dtype !== 'float32') return undefined
    // The CPU's cast renames the tensor and leaves integers in it; the device needs floats.
    const values = (backend.data.get(x.dataId) as { values?: ArrayLike<number> }).values
    return backend.makeTensorInfo(x.shape, 'float32', Float32Array.from(values!))
  })
}

function registerGather(): void {
  defineCudaOp(tf.GatherV2, (backend, inputs, attrs) => {
    const { x, indices } = inputs as { x: Info; indices: Info }
    const { axis, batchDims = 0 } = attrs as unknown as tf.GatherV2Attrs
    if (x.dtype !== 'float32' || axis !== 0 || batchDims !== 0 || indices.dtype !== 'int32') return undefined
    if (backend.onHost(x)) return undefined
    const ids = backend.hostInts(indices)
    const rows = x.shape[0]!
    // An id outside the table is the CPU backend's to refuse.
    if (ids.some((id) => id < 0 || id >= rows)) return undefined
    const cols = sizeOf(x.shape.slice(1))
    const { info, handle } = backend.output([...indices.shape, ...x.shape.slice(1)], STORAGE.f32)
    const table = stored(backend, x, STORAGE.f32)
    const weight = [0, 0, rows, cols, 1, table.handle, null, null] as const
    backend.addon.embeddingLookup(ids.length, ...weight, backend.ints(indices), ids, handle)
    if (table.temporary) backend.addon.free(table.handle)
    return info
  })
}

/** Moving data about: transposition, rows by number, joining and cutting, changing types. */
export function registerCudaLayout(): void {
  registerTranspose()
  registerConcat()
  registerSlice()
  registerCast()
  registerGather()
}
