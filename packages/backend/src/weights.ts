import * as tf from '@tensorflow/tfjs-core'
import { invalidData } from '@tunesmith/core'
import type { WeightAttrs } from './contract/attributes'
import { BITS_PER_ELEMENT, type RoundTo, type WeightFormat } from './contract/weight-format'

/**
 * A weight matrix `[outFeatures, inFeatures]` as stored in memory. No kernel ever expands a whole packed one.
 *
 * - `f32`: `weight` float32 `[out, in]`; a `tf.Variable` when it is trained.
 * - `bf16`, `f16`: `weight` int32, two little-endian elements each, row-major.
 * - `nf4`, `fp4`: `weight` int32, eight elements each, bitsandbytes' byte order (even element in the high nibble);
 *   `absmax` float32 per block of `blockSize` elements of the flattened matrix; `code` float32 `[16]`.
 * - `int8`: `weight` int32, four elements each; `scale` float32 `[out]`, the step of each row.
 */
export interface WeightMatrix {
  format: WeightFormat
  outFeatures: number
  inFeatures: number
  /** Elements per `absmax`, 4-bit formats only. */
  blockSize?: number
  /**
   * 4-bit formats only: each value `code * absmax` is rounded to this before it is used, as bitsandbytes rounds to the
   * dtype that the weight was quantized from. Default `none`, float32.
   */
  roundTo?: RoundTo
  weight: tf.Tensor
  absmax?: tf.Tensor
  code?: tf.Tensor
  scale?: tf.Tensor
}

type Scales = 'absmax' | 'code' | 'scale'

/** A float32 matrix `[out, in]`, tensor or variable, as a weight. */
export function denseWeight(weight: tf.Tensor2D): WeightMatrix {
  return { format: 'f32', outFeatures: weight.shape[0], inFeatures: weight.shape[1], weight }
}

/**
 * A weight from the packed bytes of a file.
 *
 * @param bytes `ceil(out * in * bits / 8)` bytes in the layout of `format`; for `f32` little-endian floats.
 * @throws {TunesmithError} `invalid_data` when the byte count does not fit the shape.
 */
export function packedWeight({
  bytes,
  absmax,
  code,
  scale,
  ...shape
}: Omit<WeightMatrix, 'weight' | Scales> & { bytes: Uint8Array } & { [Name in Scales]?: Float32Array }): WeightMatrix {
  const { format, outFeatures, inFeatures } = shape
  const expected = Math.ceil((outFeatures * inFeatures * BITS_PER_ELEMENT[format]) / 8)
  if (bytes.byteLength !== expected)
    throw invalidData(
      `A ${format} weight [${outFeatures}, ${inFeatures}] takes ${expected} bytes, got ${bytes.byteLength}`,
    )
  const words = Math.ceil(expected / 4)
  let aligned = bytes
  if (bytes.byteOffset % 4 !== 0 || bytes.byteLength !== words * 4) {
    aligned = new Uint8Array(words * 4)
    aligned.set(bytes)
  }
  const weight =
    format === 'f32'
      ? tf.tensor2d(new Float32Array(aligned.buffer, aligned.byteOffset, words), [outFeatures, inFeatures])
      : tf.tensor1d(new Int32Array(aligned.buffer, aligned.byteOffset, words), 'int32')
  return {
    ...shape,
    weight,
    ...(absmax && { absmax: tf.tensor1d(absmax) }),
    ...(code && { code: tf.tensor1d(code) }),
    ...(scale && { scale: tf.tensor1d(scale) }),
  }
}

/**
 * Uninitialised memory to read a weight's bytes into before {@link packedWeight}, from the current backend where it has a
 * better kind: large pages, which are quicker to fill and to compute with. The garbage collector frees it.
 */
export function weightMemory(byteLength: number): Uint8Array {
  const backend = tf.backend() as { weightMemory?: (bytes: number) => ArrayBuffer | undefined }
  return new Uint8Array(backend.weightMemory?.(byteLength) ?? new ArrayBuffer(byteLength))
}

/**
 * A weight's bytes where they are in a file, for {@link packedWeight}: the system reads them when they are first used, and
 * several processes share them. Undefined on a backend that cannot, or where it is not worth while: then they are read.
 *
 * The file must stay as it is while the weight is used: one that is cut short ends the process. Replacing it by renaming is
 * safe.
 */
export function mapWeight(path: string, offset: number, byteLength: number): Uint8Array | undefined {
  const backend = tf.backend() as { mapWeight?: (...part: [string, number, number]) => ArrayBuffer | undefined }
  const buffer = backend.mapWeight?.(path, offset, byteLength)
  return buffer && new Uint8Array(buffer)
}

/** The tensors of a weight under the kernels' input names. */
export function weightInputs({ weight, absmax, code, scale }: WeightMatrix): Record<string, tf.Tensor> {
  return { weight, ...(absmax && { absmax }), ...(code && { code }), ...(scale && { scale }) }
}

export function weightAttrs(matrix: WeightMatrix): WeightAttrs {
  const { format, outFeatures, inFeatures, blockSize = 0, roundTo = 'none' } = matrix
  return { format, outFeatures, inFeatures, blockSize, roundTo }
}

/** Bytes that a weight holds, scales included. */
export function weightBytes(matrix: WeightMatrix): number {
  return Object.values(weightInputs(matrix)).reduce((sum, tensor) => sum + tensor.size * 4, 0)
}

export function disposeWeight(matrix: WeightMatrix): void {
  for (const tensor of Object.values(weightInputs(matrix))) tensor.dispose()
}
