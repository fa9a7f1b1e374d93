import * as tf from '@tensorflow/tfjs-core'
import type { Storage } from '../addon'
import type { CudaBackend } from '../backend'
import { defineCudaOp, defineCudaOpOf, type Info, isNumber } from './define'
import { copyView, materialize, stridesOf } from './views'

const sizeOf = tf.util.sizeFromShape

/** The tensor's memory in a storage type, and what to free when it had to be converted. */
function stored(backend: CudaBackend, x: Info, storage: Storage): { handle: number; temporary: boolean } {
  const handle = backend.memoryOf(x)
  if (backend.tensor(x).storage === storage) return { handle, temporary: false }
  return { handle: backend.device.converted(handle, sizeOf(x.shape), storage, 'working memory'), temporary: true }
}

/** A permutation of axes; undefined when there are too many of them. */
export function transposed(backend: CudaBackend, x: Info, perm: readonly number[]): Info | undefined {
  const shape = perm.map((axis) => x.shape[axis]!)
  const shift = perm.indexOf(0)
  const rank = perm.length
  // What only rotates its axes is a matrix, which has a kernel that reads and writes whole lines.
  const rotates = rank > 1 && perm.every((axis, i) => (axis + shift) % rank === i)
  const rows = rotates ? sizeOf(x.shape.slice(0, rank - shift)) : 0
  if (rotates && rows <= 2_097_120 && x.dtype === 'float32') {
    const { info, handle } = backend.outputLike(x, shape)
    const cols = sizeOf(x.shape.slice(rank - shift))
    backend.operations.transpose2d({ rows, cols, x: backend.memoryOf(x), y: handle })
    return info
  }
  const own = stridesOf(x.shape)
  return materialize(backend, x, shape, { strides: perm.map((axis) => own[axis]!) })
}

/** An operation on `x` that shows its elements in another order: where, or nothing when the device cannot. */
function defineView<Attrs>(
  name: string,
  view: (x: Info, attrs: Attrs) => { sizes: number[]; offset?: number; strides: number[]; shape?: number[] },
): void {
  defineCudaOpOf<Attrs>(name, (backend, x, attrs) => {
    const { sizes, ...rest } = view(x, attrs)
    return materialize(backend, x, sizes, rest)
  })
}

function registerViews(): void {
  defineCudaOpOf<tf.TransposeAttrs>(tf.Transpose, (backend, x, { perm }) => transposed(backend, x, perm))

  defineView<tf.SliceAttrs>(tf.Slice, (x, { begin, size }) => {
    const [start, sizes] = tf.slice_util.parseSliceParams(x as tf.Tensor, begin, size)
    tf.slice_util.assertParamsValid(x as tf.Tensor, start, sizes)
    const strides = stridesOf(x.shape)
    return { sizes, strides, offset: start.reduce((sum, at, axis) => sum + at * strides[axis]!, 0) }
  })

  defineView<tf.StridedSliceAttrs>(tf.StridedSlice, (x, { begin, end, strides, ...masks }) => {
    const { beginMask, endMask, ellipsisMask, newAxisMask, shrinkAxisMask } = masks
    const all = [beginMask, endMask, ellipsisMask, newAxisMask, shrinkAxisMask] as const
    const slice = tf.slice_util.sliceInfo(x.shape, begin, end, strides, ...all)
    const own = stridesOf(x.shape)
    return {
      sizes: tf.slice_util.computeOutShape(slice.begin, slice.end, slice.strides),
      shape: slice.finalShape,
      strides: own.map((stride, axis) => stride * slice.strides[axis]!),
      offset: own.reduce((sum, stride, axis) => sum + stride * slice.begin[axis]!, 0),
    }
  })

  defineView<tf.ReverseAttrs>(tf.Reverse, (x, { dims }) => {
    const axes = tf.util.parseAxisParam(dims, x.shape)
    const own = stridesOf(x.shape)
    return {
      sizes: x.shape,
      strides: own.map((stride, axis) => (axes.includes(axis) ? -stride : stride)),
      offset: axes.reduce((sum, axis) => sum + own[axis]! * Math.max(0, x.shape[axis]! - 1), 0),
    }
  })

  defineView<tf.TileAttrs>(tf.Tile, (x, { reps }) => {
    const own = stridesOf(x.shape)
    return {
      sizes: x.shape.flatMap((size, axis) => [reps[axis]!, size]),
      strides: own.flatMap((stride) => [0, stride]),
      shape: x.shape.map((size, axis) => size * reps[axis]!),
    }
  })
}

/** Tensors side by side along an axis: `shapes` are theirs, `shape` is the result's. */
function joined(
  backend: CudaBackend,
  all: Info[],
  shapes: readonly number[][],
  shape: number[],
  axis: number,
): Info | undefined {
  const first = all[0]!
  if (!isNumber(first) || all.some((x) => x.dtype !== first.dtype) || backend.onHost(...all)) return undefined
  // Trained rows beside activations, or the other way round: what there is more of decides.
  const most = all.reduce((a, b) => (sizeOf(b.shape) > sizeOf(a.shape) ? b : a))
  const { storage } = backend.tensor(most)
  const { info, handle } = backend.output(shape, first.dtype, storage)
  const strides = stridesOf(shape)
  let at = 0
  all.forEach((x, i) => {
    const sizes = shapes[i]!
    if (sizeOf(sizes) > 0) {
      const from = stored(backend, x, storage)
      const target = { handle, offset: at * strides[axis]!, strides }
      copyView(backend, sizes, { handle: from.handle, offset: 0, strides: stridesOf(sizes) }, target)
      if (from.temporary) backend.addon.free(from.handle)
    }
    at += sizes[axis]!
  })
  return info
}

function registerJoining(): void {
  defineCudaOp<Info[], tf.ConcatAttrs>(tf.Concat, (backend, all, { axis }) => {
    const along = tf.util.parseAxisParam(axis, all[0]!.shape)[0]!
    const shapes = all.map((x) => x.shape)
    tf.backend_util.assertParamsConsistent(shapes, along)
    return joined(backend, all, shapes, tf.backend_util.computeOutShape(shapes, along), along)
  })

  defineCudaOp<Info[], tf.PackAttrs>(tf.Pack, (backend, all, { axis }) => {
    const one = all[0]!.shape
    if (all.some((x) => !tf.util.arraysEqual(x.shape, one))) return undefined
    const around = (count: number) => [...one.slice(0, axis), count, ...one.slice(axis)]
    const shapes = all.map(() => around(1))
    return joined(backend, all, shapes, around(all.length), axis)
  })

  defineCudaOpOf<tf.PadV2Attrs>(tf.PadV2, (backend, x, { paddings, constantValue }) => {
    if (x.dtype !== 'float32') return undefined
    const shape = x.shape.map((size, axis) => paddings[axis]![0] + size + paddings[axis]![1])
    const { info, handle } = backend.outputLike(x, shape)
    backend.operations.fill({ size: sizeOf(shape), value: constantValue, y: handle })
    const strides = stridesOf(shape)
    const offset = paddings.reduce((sum, [before], axis) => sum + before * strides[axis]!, 0)
    const from = { handle: backend.memoryOf(x), offset: 0, strides: stridesOf(x.shape) }
    if (sizeOf(x.shape) > 0) copyView(backend, x.shape, from, { handle, offset, strides })
    return info
  })
}

/** One tensor into several along an axis; `sizes` of the parts, each of `shapeOf(size)`. */
function parted(
  backend: CudaBackend,
  x: Info,
  axis: number,
  sizes: readonly number[],
  shapeOf: (size: number) => number[],
): Info[] | undefined {
  if (!isNumber(x) || backend.onHost(x)) return undefined
  const strides = stridesOf(x.shape)
  let at = 0
  return sizes.map((size) => {
    const part = x.shape.map((n, i) => (i === axis ? size : n))
    const offset = at * strides[axis]!
    at += size
    return materialize(backend, x, part, { offset, strides, shape: shapeOf(size) })!
  })
}

function registerParting(): void {
  defineCudaOpOf<tf.SplitVAttrs>(tf.SplitV, (backend, x, { numOrSizeSplits, axis }) => {
    const along = tf.util.parseAxisParam(axis, x.shape)[0]!
    const sizes = tf.backend_util.prepareSplitSize(x as tf.Tensor, numOrSizeSplits, along)
    return parted(backend, x, along, sizes, (size) => x.shape.map((n, i) => (i === along ? size : n)))
  })

  defineCudaOp<{ value: Info }, tf.UnpackAttrs>(tf.Unpack, (backend, { value: x }, { axis }) => {
    const along = tf.util.parseAxisParam(axis, x.shape)[0]!
    const ones = new Array<number>(x.shape[along]!).fill(1)
    return parted(backend, x, along, ones, () => x.shape.filter((_, i) => i !== along))
  })
}

/** Moving data about: other orders of the elements, joining and cutting. */
export function registerCudaLayout(): void {
  registerViews()
  registerJoining()
  registerParting()
}
