import * as tf from '@tensorflow/tfjs-core'

/** Codes of operations: their places in an enumeration of the addons, the first at `first`. */
export const codesOf = <const Names extends readonly string[]>(names: Names, first = 0) =>
  Object.fromEntries(names.map((name, i) => [name, first + i])) as Record<Names[number], number>

export const BINARY = codesOf([tf.Add, tf.Sub, tf.Multiply, tf.RealDiv, tf.Maximum, tf.Minimum])
export const UNARY = codesOf([
  ...([tf.Neg, tf.Square, tf.Sqrt, tf.Rsqrt, tf.Exp, tf.Log, tf.Tanh, tf.Sigmoid] as const),
  ...([tf.Relu, tf.Abs, tf.Reciprocal] as const),
])

interface Pattern {
  shape: number[]
  /** 0 alike; 1 b is one row; 2 b is one value per row; 3 a is one row; 4 a is one value per row. */
  mode: number
  outer: number
  inner: number
}

/** How the smaller of two operands repeats over the larger; undefined when the pattern is none of the five. */
export function broadcastPattern(a: number[], b: number[]): Pattern | undefined {
  const [sizeA, sizeB] = [tf.util.sizeFromShape(a), tf.util.sizeFromShape(b)]
  if (tf.util.arraysEqual(a, b)) return { shape: a, mode: 0, outer: 1, inner: sizeA }
  const swapped = sizeA < sizeB || (sizeA === sizeB && a.length < b.length)
  const [large, small] = swapped ? [b, a] : [a, b]
  const size = Math.max(sizeA, sizeB)
  const padded = [...new Array<number>(Math.max(0, large.length - small.length)).fill(1), ...small]
  if (padded.length !== large.length) return undefined
  // The small shape must be ones up to some point and then the same (a row), or the same and then ones (a column).
  let ones = 0
  while (ones < padded.length && padded[ones] === 1) ones++
  const tail = padded.slice(ones)
  if (tf.util.arraysEqual(tail, large.slice(ones))) {
    const inner = tf.util.sizeFromShape(tail)
    if (tail.length === 0) return { shape: large, mode: swapped ? 4 : 2, outer: 1, inner: size }
    return { shape: large, mode: swapped ? 3 : 1, outer: inner === 0 ? 0 : size / inner, inner }
  }
  let same = 0
  while (same < padded.length && padded[same] === large[same]) same++
  if (padded.slice(same).every((n) => n === 1)) {
    const outer = tf.util.sizeFromShape(large.slice(0, same))
    return { shape: large, mode: swapped ? 4 : 2, outer, inner: outer === 0 ? 0 : size / outer }
  }
  return undefined
}

/** Sizes before, along and after the reduced axes when these lie side by side; undefined otherwise. */
export function span(shape: number[], axis: number | number[] | undefined) {
  const all = axis === undefined || (Array.isArray(axis) && axis.length === 0)
  const axes = (all ? shape.map((_, i) => i) : tf.util.parseAxisParam(axis, shape)).sort((a, b) => a - b)
  if (axes.some((value, i) => value !== axes[0]! + i)) return undefined
  const [first, end] = [axes[0] ?? 0, (axes.at(-1) ?? -1) + 1]
  const size = tf.util.sizeFromShape
  return {
    axes,
    outer: size(shape.slice(0, first)),
    count: size(shape.slice(first, end)),
    inner: size(shape.slice(end)),
  }
}
