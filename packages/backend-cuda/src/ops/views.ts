import * as tf from '@tensorflow/tfjs-core'
import type { Handle } from '../addon'
import type { CudaBackend } from '../backend'
import type { Info } from './define'

/** Axes the addon's strided kernels take. */
const MAX_RANK = 6

/** A tensor's memory read in another order: element i, j... lies at `offset + i * strides[0] + j * strides[1]`... */
interface View {
  handle: Handle
  offset: number
  strides: number[]
}

/** An index space, and the strides of each operand in it. */
interface Space {
  sizes: number[]
  strides: number[][]
}

/** Elements from one index to the next along each axis of a tensor without gaps. */
export function stridesOf(shape: number[]): number[] {
  return shape.map((_, axis) => tf.util.sizeFromShape(shape.slice(axis + 1)))
}

/** Strides that repeat a tensor over a shape it broadcasts to. */
export function broadcastStrides(from: number[], to: number[]): number[] {
  const own = stridesOf(from)
  const missing = to.length - from.length
  return to.map((_, axis) => (axis < missing || from[axis - missing] === 1 ? 0 : own[axis - missing]!))
}

/** The same index space with as few axes as possible; undefined when there are more than the kernels take. */
export function collapse(sizes: number[], ...operands: readonly (readonly number[])[]): Space | undefined {
  const kept: number[] = []
  const strides = operands.map((): number[] => [])
  sizes.forEach((size, axis) => {
    if (size === 1) return
    const last = kept.length - 1
    const joins = last >= 0 && operands.every((own, o) => strides[o]![last] === own[axis]! * size)
    if (joins) kept[last] = kept[last]! * size
    else kept.push(size)
    operands.forEach((own, o) => {
      if (joins) strides[o]![last] = own[axis]!
      else strides[o]!.push(own[axis]!)
    })
  })
  return kept.length > MAX_RANK ? undefined : { sizes: kept, strides }
}

/** An index space and views in it, each by handle and offset, as the addon takes them. */
export function layoutOf({ sizes, strides }: Space, views: { handle: Handle; offset?: number }[]): Float64Array {
  const flat = views.flatMap(({ handle, offset = 0 }, i) => [handle, offset, ...strides[i]!])
  return Float64Array.of(sizes.length, ...sizes, ...flat)
}

/** Copies `from` to `to`, of one storage type, over an index space; false when it has too many axes. */
export function copyView(backend: CudaBackend, sizes: number[], from: View, to: View): boolean {
  const space = collapse(sizes, from.strides, to.strides)
  if (!space) return false
  backend.operations.stridedCopy({ layout: layoutOf(space, [from, to]) })
  return true
}

/**
 * A new tensor of what a view of `x` shows.
 *
 * @param shape of the result, when it is not `sizes` themselves.
 */
export function materialize(
  backend: CudaBackend,
  x: Info,
  sizes: number[],
  { offset = 0, strides, shape = [...sizes] }: { offset?: number; strides: number[]; shape?: number[] },
): Info | undefined {
  if (!collapse(sizes, strides, stridesOf(sizes))) return undefined
  const { info, handle } = backend.outputLike(x, shape)
  const from = { handle: backend.memoryOf(x), offset, strides }
  if (tf.util.sizeFromShape(sizes) > 0) copyView(backend, sizes, from, { handle, offset: 0, strides: stridesOf(sizes) })
  return info
}
