import * as tf from '@tensorflow/tfjs-core'
import { BINARY, broadcastPattern, UNARY } from '../../ops/elementwise'
import { STORAGE, type Storage } from '../addon'
import type { CudaBackend } from '../backend'
import { defineCudaOp, type Info } from './define'

/** bf16 stays bf16; anything with float32 in it is float32. */
export function widest(backend: CudaBackend, ...tensors: Info[]): Storage {
  return tensors.every((x) => backend.storageOf(x) === STORAGE.bf16) ? STORAGE.bf16 : STORAGE.f32
}

/** A scalar or a row beside an activation does not widen it: a loss scale, a bias, a learned gate. */
function resultStorage(backend: CudaBackend, a: Info, b: Info): Storage {
  const [sizeA, sizeB] = [tf.util.sizeFromShape(a.shape), tf.util.sizeFromShape(b.shape)]
  if (sizeA === sizeB) return widest(backend, a, b)
  return widest(backend, sizeA > sizeB ? a : b)
}

/** Elementwise operations on float32; other types and other broadcasts run on the CPU. */
export function registerCudaElementwise(): void {
  for (const [name, op] of Object.entries(BINARY))
    defineCudaOp(name, (backend, inputs) => {
      const { a, b } = inputs as { a: Info; b: Info }
      if (a.dtype !== 'float32' || b.dtype !== 'float32' || backend.onHost(a, b)) return undefined
      const pattern = broadcastPattern(a.shape, b.shape)
      if (!pattern) return undefined
      const { shape, mode, outer, inner } = pattern
      const { info, handle } = backend.output(shape, resultStorage(backend, a, b))
      backend.addon.binary(op, mode, outer, inner, backend.floats(a), backend.floats(b), handle)
      return info
    })

  for (const [name, op] of Object.entries(UNARY))
    defineCudaOp(name, (backend, inputs) => {
      const { x } = inputs as { x: Info }
      if (x.dtype !== 'float32' || backend.onHost(x)) return undefined
      const { info, handle } = backend.output(x.shape, widest(backend, x))
      backend.addon.unary(op, tf.util.sizeFromShape(x.shape), backend.floats(x), handle)
      return info
    })

  defineCudaOp(tf.AddN, (backend, inputs) => {
    const all = inputs as unknown as Info[]
    const alike = all.every((x) => x.dtype === 'float32' && tf.util.arraysEqual(x.shape, all[0]!.shape))
    if (!alike || all.length < 2 || backend.onHost(...all)) return undefined
    const size = tf.util.sizeFromShape(all[0]!.shape)
    const { info, handle } = backend.output(all[0]!.shape, widest(backend, ...all))
    let sum = backend.floats(all[0]!)
    for (const x of all.slice(1)) {
      backend.addon.binary(BINARY[tf.Add], 0, 1, size, sum, backend.floats(x), handle)
      sum = handle
    }
    return info
  })

  defineCudaOp(tf.Softmax, (backend, inputs, attrs) => {
    const { logits } = inputs as { logits: Info }
    const cols = logits.shape.at(-1)
    const last = (attrs as unknown as tf.SoftmaxAttrs).dim === logits.shape.length - 1
    if (logits.dtype !== 'float32' || !last || !cols || backend.onHost(logits)) return undefined
    const { info, handle } = backend.output(logits.shape, widest(backend, logits))
    backend.addon.softmax(tf.util.sizeFromShape(logits.shape) / cols, cols, backend.floats(logits), handle)
    return info
  })

  for (const name of [tf.ZerosLike, tf.OnesLike])
    defineCudaOp(name, (backend, inputs) => {
      const { x } = inputs as { x: Info }
      if (x.dtype !== 'float32' || backend.onHost(x)) return undefined
      const { info, handle } = backend.output(x.shape, backend.storageOf(x))
      backend.addon.fill(tf.util.sizeFromShape(x.shape), name === tf.OnesLike ? 1 : 0, handle)
      return info
    })

  defineCudaOp(tf.Fill, (backend, _, attrs) => {
    const { shape, value, dtype } = attrs as unknown as tf.FillAttrs
    const size = tf.util.sizeFromShape(shape)
    // Small ones begin on the host, where they may stay.
    if (typeof value !== 'number' || (dtype ?? 'float32') !== 'float32' || size < 16384) return undefined
    const { info, handle } = backend.output(shape, STORAGE.f32)
    backend.addon.fill(size, value, handle)
    return info
  })
}
