import * as tf from '@tensorflow/tfjs-core'
import { broadcastPattern, codesOf, BINARY as SHARED_BINARY, UNARY as SHARED_UNARY } from '@tunesmith/backend/contract'
import { STORAGE, type Storage } from '../addon'
import type { CudaBackend } from '../backend'
import { defineCudaOp, defineCudaOpOf, type Info, isNumber } from './define'
import { broadcastStrides, collapse, layoutOf, stridesOf } from './views'

// In the order of the addon's enumerations, which begin with those of the native backend.
const ARITHMETIC = { ...SHARED_BINARY, ...codesOf([tf.Pow, tf.FloorDiv, tf.Mod, tf.SquaredDifference], 6) }
const COMPARISONS = codesOf(
  [tf.Equal, tf.NotEqual, tf.Greater, tf.GreaterEqual, tf.Less, tf.LessEqual, tf.LogicalAnd, tf.LogicalOr],
  10,
)
const ELU_GRAD = 18
const MORE_UNARY = [
  ...[tf.Sign, tf.Floor, tf.Ceil, tf.Round, tf.Erf, tf.Log1p, tf.Expm1, tf.Softplus, tf.Step],
  ...[tf.LeakyRelu, tf.Elu, tf.ClipByValue],
]
const UNARY: Record<string, number> = { ...SHARED_UNARY, ...codesOf(MORE_UNARY, 11) }
const TO_BOOLEANS = codesOf([tf.LogicalNot, tf.IsNan, tf.IsInf, tf.IsFinite], 23)
const OF_INTEGERS: readonly string[] = [tf.Neg, tf.Square, tf.Abs, tf.Relu, tf.Sign, tf.ClipByValue]

const sizeOf = tf.util.sizeFromShape

/** bf16 stays bf16; anything with float32 in it is float32. */
export function widest(backend: CudaBackend, ...tensors: Info[]): Storage {
  return tensors.every((x) => backend.tensor(x).storage === STORAGE.bf16) ? STORAGE.bf16 : STORAGE.f32
}

/** A scalar or a row beside an activation does not widen it: a loss scale, a bias, a learned gate. */
function resultStorage(backend: CudaBackend, a: Info, b: Info): Storage {
  const [sizeA, sizeB] = [sizeOf(a.shape), sizeOf(b.shape)]
  if (sizeA === sizeB) return widest(backend, a, b)
  return widest(backend, sizeA > sizeB ? a : b)
}

function binary(backend: CudaBackend, op: number, a: Info, b: Info, dtype: tf.DataType): Info | undefined {
  const shape = tf.backend_util.assertAndGetBroadcastShape(a.shape, b.shape)
  const floats = a.dtype === 'float32'
  const [numberA, numberB] = [backend.hostNumber(a), backend.hostNumber(b)]
  const make = () => backend.output(shape, dtype, resultStorage(backend, a, b))
  // A number goes with the launch, without a place on the device.
  if (floats && (numberA ?? numberB) !== undefined && sizeOf(shape) > 0) {
    const [tensor, number, reversed] = numberB === undefined ? [b, numberA!, true] : [a, numberB, false]
    const { info, handle } = make()
    const x = backend.memoryOf(tensor)
    backend.operations.binaryNumber({ op, size: sizeOf(shape), x, number, reversed, y: handle })
    return info
  }
  const pattern = floats ? broadcastPattern(a.shape, b.shape) : undefined
  if (pattern) {
    const { info, handle } = make()
    const { mode, outer, inner } = pattern
    backend.operations.binary({ op, mode, outer, inner, a: backend.memoryOf(a), b: backend.memoryOf(b), y: handle })
    return info
  }
  const space = collapse(shape, broadcastStrides(a.shape, shape), broadcastStrides(b.shape, shape))
  if (!space) return undefined
  const { info, handle } = make()
  if (sizeOf(shape) === 0) return info
  const layout = layoutOf(space, [{ handle: backend.memoryOf(a) }, { handle: backend.memoryOf(b) }])
  backend.operations.stridedBinary({ op, layout, y: handle })
  return info
}

function registerBinary(): void {
  for (const [name, op] of Object.entries({ ...ARITHMETIC, ...COMPARISONS }))
    defineCudaOp<{ a: Info; b: Info }>(name, (backend, { a, b }) => {
      if (a.dtype !== b.dtype || !isNumber(a) || backend.onHost(a, b)) return undefined
      if (name in COMPARISONS) return binary(backend, op, a, b, 'bool')
      if (a.dtype === 'bool' || (a.dtype === 'int32' && name === tf.RealDiv)) return undefined
      return binary(backend, op, a, b, name === tf.FloorDiv ? 'int32' : a.dtype)
    })

  defineCudaOp<{ dy: Info; y: Info }>(tf.EluGrad, (backend, { dy, y }) => {
    if (dy.dtype !== 'float32' || backend.onHost(dy, y)) return undefined
    return binary(backend, ELU_GRAD, dy, y, 'float32')
  })

  defineCudaOp<Info[]>(tf.AddN, (backend, all) => {
    const alike = all.every((x) => x.dtype === 'float32' && tf.util.arraysEqual(x.shape, all[0]!.shape))
    if (!alike || backend.onHost(...all)) return undefined
    if (all.length === 1) return backend.share(all[0]!)
    const size = sizeOf(all[0]!.shape)
    const { info, handle } = backend.output(all[0]!.shape, 'float32', widest(backend, ...all))
    let sum = backend.memoryOf(all[0]!)
    for (const x of all.slice(1)) {
      const operands = { a: sum, b: backend.memoryOf(x), y: handle }
      backend.operations.binary({ op: ARITHMETIC[tf.Add], mode: 0, outer: 1, inner: size, ...operands })
      sum = handle
    }
    return info
  })
}

/** The numbers of an operation that has some: a slope, bounds. */
function numbersOf(name: string, attrs: object): [number, number] {
  const { alpha = 0, clipValueMin, clipValueMax } = attrs as { alpha?: number } & tf.ClipByValueAttrs
  return name === tf.ClipByValue ? [clipValueMin, clipValueMax] : [alpha, 0]
}

function registerUnary(): void {
  for (const [name, op] of Object.entries(UNARY))
    defineCudaOpOf(name, (backend, x, attrs) => {
      if (x.dtype !== 'float32' && (x.dtype !== 'int32' || !OF_INTEGERS.includes(name))) return undefined
      const { info, handle } = backend.outputLike(x, x.shape)
      const [p, q] = numbersOf(name, attrs)
      backend.operations.unary({ op, size: sizeOf(x.shape), x: backend.memoryOf(x), y: handle, p, q })
      return info
    })

  for (const [name, op] of Object.entries(TO_BOOLEANS))
    defineCudaOpOf(name, (backend, x) => {
      const { info, handle } = backend.output(x.shape, 'bool')
      backend.operations.unary({ op, size: sizeOf(x.shape), x: backend.memoryOf(x), y: handle, p: 0, q: 0 })
      return info
    })

  defineCudaOp<{ logits: Info }, tf.SoftmaxAttrs>(tf.Softmax, (backend, { logits }, { dim }) => {
    const cols = logits.shape.at(-1)
    const last = dim === logits.shape.length - 1
    if (logits.dtype !== 'float32' || !last || !cols || backend.onHost(logits)) return undefined
    const { info, handle } = backend.outputLike(logits, logits.shape)
    backend.operations.softmax({ rows: sizeOf(logits.shape) / cols, cols, x: backend.memoryOf(logits), y: handle })
    return info
  })
}

function registerSelect(): void {
  defineCudaOp<{ condition: Info; t: Info; e: Info }>(tf.Select, (backend, { condition, t, e }) => {
    const shape = t.shape
    const alike = t.dtype === e.dtype && tf.util.arraysEqual(shape, e.shape)
    if (!alike || !isNumber(t) || condition.shape.length !== shape.length) return undefined
    if (backend.onHost(condition, t, e)) return undefined
    const whole = stridesOf(shape)
    const space = collapse(shape, broadcastStrides(condition.shape, shape), whole, whole)
    if (!space) return undefined
    const { info, handle } = backend.output(shape, t.dtype, widest(backend, t, e))
    if (sizeOf(shape) === 0) return info
    const views = [condition, t, e].map((x) => ({ handle: backend.memoryOf(x) }))
    backend.operations.select({ layout: layoutOf(space, views), y: handle })
    return info
  })
}

/** Integers, booleans and floats into each other. */
function registerCast(): void {
  defineCudaOp<{ x: Info }, tf.CastAttrs>(tf.Cast, (backend, { x }, { dtype }) => {
    if (x.dtype === dtype && isNumber(x)) return backend.share(x)
    const from = { dataId: x.dataId, shape: x.shape, dtype }
    if (!isNumber(x) || !isNumber(from)) return undefined
    const size = sizeOf(x.shape)
    if (backend.onHost(x)) {
      // The CPU's cast to float32 renames the tensor and leaves integers in it; the device needs floats.
      if (dtype !== 'float32') return undefined
      return backend.makeTensorInfo(x.shape, dtype, Float32Array.from(backend.tensor(x).values as ArrayLike<number>))
    }
    const { info, handle } = backend.output(x.shape, dtype)
    const operands = { size, x: backend.memoryOf(x), y: handle }
    if (dtype === 'bool')
      backend.operations.binaryNumber({ op: COMPARISONS[tf.NotEqual], number: 0, reversed: false, ...operands })
    else backend.operations.convert(operands)
    return info
  })
}

function registerConstants(): void {
  for (const name of [tf.ZerosLike, tf.OnesLike])
    defineCudaOpOf(name, (backend, x) => {
      const { info, handle } = backend.outputLike(x, x.shape)
      backend.operations.fill({ size: sizeOf(x.shape), value: name === tf.OnesLike ? 1 : 0, y: handle })
      return info
    })

  defineCudaOp<object, tf.FillAttrs>(tf.Fill, (backend, _, { shape, value, dtype = 'float32' }) => {
    // Small ones begin on the host, where they may stay.
    if (typeof value !== 'number' || dtype !== 'float32' || backend.isSmall(sizeOf(shape))) return undefined
    const { info, handle } = backend.output(shape)
    backend.operations.fill({ size: sizeOf(shape), value, y: handle })
    return info
  })
}

/** Operations on each element by itself. */
export function registerCudaElementwise(): void {
  registerBinary()
  registerUnary()
  registerSelect()
  registerCast()
  registerConstants()
}
