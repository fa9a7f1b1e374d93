import * as tf from '@tensorflow/tfjs-core'
import type { WeightAttrs } from '../contract/attributes'
import type { KernelInputs } from '../contract/kernels'
import { type PackedArrays, unpackRows } from './unpack'

/** Elements of a packed weight that are expanded to float32 at a time: 4 Mi, 16 MiB. */
const BLOCK_ELEMENTS = 1 << 22

type Weight = KernelInputs<'Dequantize', tf.Tensor>

function packedArrays({ weight, absmax, code, scale }: Weight): PackedArrays {
  return {
    weight: weight!.dataSync() as Int32Array,
    ...(absmax && { absmax: absmax.dataSync() as Float32Array }),
    ...(code && { code: code.dataSync() as Float32Array }),
    ...(scale && { scale: scale.dataSync() as Float32Array }),
  }
}

/** Calls `visit` with successive row blocks of a weight as float32 `[rows, in]`; a block lives until `visit` returns. */
function forEachRowBlock(
  inputs: Weight,
  attrs: WeightAttrs,
  visit: (block: tf.Tensor2D, rowStart: number, rowEnd: number) => void,
): void {
  if (attrs.format === 'f32') {
    visit(inputs.weight as tf.Tensor2D, 0, attrs.outFeatures)
    return
  }
  const arrays = packedArrays(inputs)
  const step = Math.max(1, Math.floor(BLOCK_ELEMENTS / attrs.inFeatures))
  for (let start = 0; start < attrs.outFeatures; start += step) {
    const end = Math.min(start + step, attrs.outFeatures)
    const block = tf.tensor2d(unpackRows(arrays, start, end, attrs), [end - start, attrs.inFeatures])
    visit(block, start, end)
    block.dispose()
  }
}

/** x `[tokens, in]` times the transposed weight: `[tokens, out]`. */
export function timesTransposed(x: tf.Tensor, inputs: Weight, attrs: WeightAttrs): tf.Tensor2D {
  const parts: tf.Tensor2D[] = []
  forEachRowBlock(inputs, attrs, (block) => {
    parts.push(tf.matMul(x as tf.Tensor2D, block, false, true))
  })
  return parts.length === 1 ? parts[0]! : tf.concat2d(parts, 1)
}

/** dy `[tokens, out]` times the weight: `[tokens, in]`. */
export function times(dy: tf.Tensor, inputs: Weight, attrs: WeightAttrs): tf.Tensor2D {
  let sum: tf.Tensor2D | undefined
  forEachRowBlock(inputs, attrs, (block, start, end) => {
    const columns =
      end - start === dy.shape[1] ? (dy as tf.Tensor2D) : tf.slice2d(dy as tf.Tensor2D, [0, start], [-1, end - start])
    const part: tf.Tensor2D = tf.matMul(columns, block)
    sum = sum ? (tf.add(sum, part) as tf.Tensor2D) : part
  })
  return sum!
}

/** A gradient on top of the one that came by other paths, where there is one. */
export function withAddend(dx: tf.Tensor, addend: tf.Tensor | undefined): tf.Tensor {
  return addend ? tf.add(addend, dx) : dx
}

/** The given rows of a weight as float32 `[rows.length, in]`. */
export function gatherRows(inputs: Weight, attrs: WeightAttrs, ids: tf.Tensor1D): tf.Tensor2D {
  if (attrs.format === 'f32') return tf.gather(inputs.weight as tf.Tensor2D, ids)
  const arrays = packedArrays(inputs)
  const rows = ids.dataSync()
  const out = new Float32Array(rows.length * attrs.inFeatures)
  rows.forEach((row, i) => {
    out.set(unpackRows(arrays, row, row + 1, attrs), i * attrs.inFeatures)
  })
  return tf.tensor2d(out, [rows.length, attrs.inFeatures])
}

/** Rows `[start, end)` of a weight as float32. */
export function dequantizeRows(inputs: Weight, attrs: WeightAttrs, start: number, end: number): tf.Tensor2D {
  if (attrs.format === 'f32') return tf.slice2d(inputs.weight as tf.Tensor2D, [start, 0], [end - start, -1])
  return tf.tensor2d(unpackRows(packedArrays(inputs), start, end, attrs), [end - start, attrs.inFeatures])
}
