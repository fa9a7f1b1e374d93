import * as tf from '@tensorflow/tfjs-core'
import { codesOf, span } from '@tunesmith/backend/contract'
import type { CudaBackend } from '../backend'
import { defineCudaOpOf, type Info } from './define'
import { transposed } from './layout'

const sizeOf = tf.util.sizeFromShape

// Codes of the addon.
const SUM = 0
const REDUCTIONS = codesOf([tf.Prod, tf.Max, tf.Min, tf.All, tf.Any], 1)
const POSITIONS = codesOf([tf.ArgMax, tf.ArgMin], 6)

type Axis = number | number[] | undefined

function axesOf(x: Info, axis: Axis): number[] {
  const all = axis === undefined || (Array.isArray(axis) && axis.length === 0)
  return all ? x.shape.map((_, i) => i) : tf.util.parseAxisParam(axis, x.shape).sort((a, b) => a - b)
}

function reducedShape(x: Info, axes: readonly number[], keepDims: boolean): number[] {
  if (keepDims) return x.shape.map((n, i) => (axes.includes(i) ? 1 : n))
  return x.shape.filter((_, i) => !axes.includes(i))
}

/** Runs `use` on `x` with some axes moved behind the others. */
function withAxesLast<Result>(
  backend: CudaBackend,
  x: Info,
  axes: readonly number[],
  use: (x: Info) => Result,
): Result | undefined {
  const others = x.shape.map((_, i) => i).filter((i) => !axes.includes(i))
  const perm = [...others, ...axes]
  if (perm.every((axis, i) => axis === i)) return use(x)
  const moved = transposed(backend, x, perm)
  if (!moved) return undefined
  try {
    return use(moved)
  } finally {
    backend.disposeData(moved.dataId)
  }
}

/** Row by row after the reduced axes were moved last. */
function reduceRows(
  backend: CudaBackend,
  op: number,
  x: Info,
  axes: readonly number[],
  output: { shape: number[]; dtype: tf.DataType },
): Info | undefined {
  const cols = sizeOf(axes.map((axis) => x.shape[axis]!))
  if (cols === 0) return undefined
  return withAxesLast(backend, x, axes, (moved) => {
    const { info, handle } = backend.output(output.shape, output.dtype)
    backend.operations.reduceRows({ op, rows: sizeOf(output.shape), cols, x: backend.memoryOf(moved), y: handle })
    return info
  })
}

/** Sums, means, products, largest and smallest values and where they are. */
export function registerCudaReduce(): void {
  for (const name of [tf.Sum, tf.Mean])
    defineCudaOpOf<tf.SumAttrs>(name, (backend, x, { axis, keepDims }) => {
      const axes = axesOf(x, axis)
      const shape = reducedShape(x, axes, keepDims)
      if (x.dtype !== 'float32')
        return name === tf.Sum ? reduceRows(backend, SUM, x, axes, { shape, dtype: 'int32' }) : undefined
      const sum = (from: Info, outer: number, count: number, inner: number) => {
        const { info, handle } = backend.output(shape)
        const scale = name === tf.Mean ? 1 / count : 1
        backend.operations.reduceSum({ outer, axis: count, inner, scale, x: backend.memoryOf(from), y: handle })
        return info
      }
      const sizes = span(x.shape, axis)
      if (sizes) return sum(x, sizes.outer, sizes.count, sizes.inner)
      const count = sizeOf(axes.map((i) => x.shape[i]!))
      return withAxesLast(backend, x, axes, (moved) => sum(moved, sizeOf(shape), count, 1))
    })

  for (const [name, op] of Object.entries(REDUCTIONS))
    defineCudaOpOf<tf.MaxAttrs & { axis: Axis }>(name, (backend, x, { axis, reductionIndices = axis, keepDims }) => {
      const axes = axesOf(x, reductionIndices)
      const dtype = name === tf.All || name === tf.Any ? 'bool' : x.dtype === 'bool' ? 'int32' : x.dtype
      return reduceRows(backend, op, x, axes, { shape: reducedShape(x, axes, keepDims), dtype })
    })

  for (const [name, op] of Object.entries(POSITIONS))
    defineCudaOpOf<tf.ArgMaxAttrs>(name, (backend, x, { axis }) => {
      const axes = axesOf(x, axis).slice(0, 1)
      return reduceRows(backend, op, x, axes, { shape: reducedShape(x, axes, false), dtype: 'int32' })
    })
}
