import * as tf from '@tensorflow/tfjs-core'
import type { NativeBackend } from '../backend'
import { accelerate } from './accelerate'

type Info = tf.TensorInfo
type Numeric = 'float32' | 'int32'

const isNumeric = (x: Info): x is Info & { dtype: Numeric } => x.dtype === 'float32' || x.dtype === 'int32'
const sizeOf = tf.util.sizeFromShape

function valuesOf(backend: NativeBackend, x: Info): Float32Array {
  return (x.dtype === 'float32' ? backend.floats(x) : backend.ints(x)) as Float32Array
}

/** The same bits as floats: moving data does not look at it. */
const asFloats = (x: Float32Array | Int32Array) => new Float32Array(x.buffer, x.byteOffset, x.length)

function registerTranspose(): void {
  accelerate<{ x: Info }, tf.TransposeAttrs>(tf.Transpose, (backend, { x }, { perm }) => {
    const rank = x.shape.length
    const shape = perm.map((axis) => x.shape[axis]!)
    if (!isNumeric(x) || rank < 2) return undefined
    const kept = perm.findIndex((axis, i) => axis !== i)
    if (kept < 0) return undefined
    const moved = perm.slice(kept)
    const size = moved.length
    // Rotations of the trailing axes are matrices transposed; swaps of two axes with a long tail are rows moved.
    const shift = moved[0]! - kept
    const rotates = moved.every((axis, i) => axis - kept === (i + shift) % size)
    const swapsHeads =
      size >= 3 &&
      moved[0] === kept + 1 &&
      moved[1] === kept &&
      moved.slice(2).every((axis, i) => axis === kept + 2 + i)
    const tail = sizeOf(x.shape.slice(kept + 2))
    if (!rotates && !(swapsHeads && tail >= 8)) return undefined
    const batch = sizeOf(x.shape.slice(0, kept))
    const { info, values } = backend.output(shape, x.dtype)
    const from = valuesOf(backend, x)
    const each = sizeOf(x.shape.slice(kept))
    for (let b = 0; b < batch; b++) {
      const [source, target] = [from.subarray(b * each, (b + 1) * each), values.subarray(b * each, (b + 1) * each)]
      if (rotates) {
        const rows = sizeOf(x.shape.slice(kept, kept + shift))
        const cols = rows === 0 ? 0 : each / rows
        backend.operations.transpose2d({ rows, cols, x: asFloats(source), y: asFloats(target) })
      } else {
        const [first, second] = [x.shape[kept]!, x.shape[kept + 1]!]
        for (let i = 0; i < first; i++)
          for (let j = 0; j < second; j++) {
            const at = (i * second + j) * tail
            target.set(source.subarray(at, at + tail), (j * first + i) * tail)
          }
      }
    }
    return info
  })
}

function registerGather(): void {
  accelerate<{ x: Info; indices: Info }, tf.GatherV2Attrs>(
    tf.GatherV2,
    (backend, { x, indices }, { axis, batchDims = 0 }) => {
      if (!isNumeric(x) || axis !== 0 || batchDims !== 0 || indices.dtype !== 'int32') return undefined
      const ids = backend.ints(indices)
      const rows = x.shape[0]!
      // An id outside the table is the CPU backend's to refuse.
      if (ids.some((id) => id < 0 || id >= rows)) return undefined
      const cols = sizeOf(x.shape.slice(1))
      const { info, values } = backend.output([...indices.shape, ...x.shape.slice(1)], x.dtype)
      const table = asFloats(valuesOf(backend, x))
      backend.operations.EmbeddingLookup({
        ...{ tokens: ids.length, format: 0, roundTo: 0, outFeatures: rows, inFeatures: cols, blockSize: 0 },
        ...{ weight: table, ids, y: asFloats(values) },
      })
      return info
    },
  )
}

function registerConcat(): void {
  accelerate<Info[], tf.ConcatAttrs>(tf.Concat, (backend, inputs, { axis: wanted }) => {
    const first = inputs[0]!
    const axis = tf.util.parseAxisParam(wanted, first.shape)[0]!
    if (!isNumeric(first) || inputs.some((x) => x.dtype !== first.dtype)) return undefined
    tf.backend_util.assertParamsConsistent(
      inputs.map((x) => x.shape),
      axis,
    )
    const { info, values } = backend.output(
      tf.backend_util.computeOutShape(
        inputs.map((x) => x.shape),
        axis,
      ),
      first.dtype,
    )
    const outer = sizeOf(first.shape.slice(0, axis))
    const width = outer === 0 ? 0 : values.length / outer
    let at = 0
    for (const x of inputs) {
      const from = valuesOf(backend, x)
      const part = outer === 0 ? 0 : from.length / outer
      for (let row = 0; row < outer; row++) values.set(from.subarray(row * part, (row + 1) * part), row * width + at)
      at += part
    }
    return info
  })
}

function registerSlice(): void {
  accelerate<{ x: Info }, tf.SliceAttrs>(tf.Slice, (backend, { x }, { begin, size }) => {
    if (!isNumeric(x)) return undefined
    const [start, shape] = tf.slice_util.parseSliceParams(x as tf.Tensor, begin, size)
    tf.slice_util.assertParamsValid(x as tf.Tensor, start, shape)
    // Everything behind the last cut axis is one contiguous run.
    let last = shape.length - 1
    while (last >= 0 && shape[last] === x.shape[last]) last--
    const tail = sizeOf(x.shape.slice(last + 1))
    const run = last < 0 ? tail : shape[last]! * tail
    if (last >= 0 && run < 8 && sizeOf(shape) > 64) return undefined
    const { info, values } = backend.output(shape, x.dtype)
    const from = valuesOf(backend, x)
    const strides = tf.util.computeStrides(x.shape).concat(1)
    const counter = new Array<number>(Math.max(0, last)).fill(0)
    for (let out = 0; out < values.length; out += run) {
      let at = 0
      for (let axis = 0; axis <= last; axis++) at += (start[axis]! + (counter[axis] ?? 0)) * strides[axis]!
      values.set(from.subarray(at, at + run), out)
      for (let axis = last - 1; axis >= 0 && ++counter[axis]! === shape[axis]; axis--) counter[axis] = 0
    }
    return info
  })
}

/** Moving data about: transposition, rows by number, joining and cutting. */
export function registerLayout(): void {
  registerTranspose()
  registerGather()
  registerConcat()
  registerSlice()
}
