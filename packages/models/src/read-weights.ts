import * as tf from '@tensorflow/tfjs-core'
import { disposeWeight, mapWeight, packedWeight, type WeightMatrix, weightMemory } from '@tunesmith/backend'
import { unsupported } from '@tunesmith/core'
import { FLOAT_TENSOR_DTYPES, readFloats, type TensorReader, tensorValues } from '@tunesmith/hub'
import {
  createQuantizationPool,
  FLOAT_DTYPES,
  isQuantizable,
  type QuantizationConfigOptions,
  type QuantizationPool,
  quantizationConfig,
  quantizeWeight,
} from '@tunesmith/quantization'
import { type QuantizedEntry, quantizedMatrix, readQuantized } from './quantized'
import type { WeightSource } from './weight-source'

const FORMATS: Record<string, 'f32' | 'bf16' | 'f16'> = { F32: 'f32', BF16: 'bf16', F16: 'f16' }

/**
 * Tensors read at the same time where they stay as they are: their memory is taken anyway, and the page cache gives more
 * to several readers.
 */
const READERS = 3

type Stack = [count: number, outFeatures: number, inFeatures: number]

interface ReadWeightsOptions {
  shapes: ReadonlyMap<string, number[]>
  checkpoint: TensorReader
  quantized: ReadonlyMap<string, QuantizedEntry>
  folder: string
  /** Matrices that stay as they are where others are quantized. */
  unquantized: ReadonlySet<string>
  /** Widens every weight to float32. */
  widen: boolean
  /** Uses weights in place in their file where the backend can. */
  mmap: boolean
  quantizationConfig?: QuantizationConfigOptions
  onProgress?: (loaded: number, total: number) => void
}

/**
 * Reads every tensor of a model into the memory that will hold it. A tensor that changes its format on the way goes through memory that the
 * next one uses again, one tensor at a time, so that nothing but the model grows.
 */
export async function readWeights(options: ReadWeightsOptions): Promise<WeightSource> {
  const { shapes, checkpoint, quantized, folder, unquantized, widen, mmap, onProgress } = options
  const matrices = new Map<string, WeightMatrix>()
  const stacks = new Map<string, WeightMatrix[]>()
  const vectors = new Map<string, tf.Tensor1D>()
  const config = options.quantizationConfig && quantizationConfig(options.quantizationConfig)
  const pool: QuantizationPool | undefined =
    config && (config.loadIn4bit || config.loadIn8bit) ? createQuantizationPool() : undefined
  const converter = createConverter(checkpoint)

  /** Matrices `[outFeatures, inFeatures]` that lie behind one another in one tensor; mostly there is one. */
  const readMatrices = async (name: string, [count, outFeatures, inFeatures]: Stack): Promise<WeightMatrix[]> => {
    const stored = quantized.get(name)
    if (stored) return [await readQuantized(name, stored, checkpoint, widen)]
    const { dtype, byteLength, file, offset } = checkpoint.tensors.get(name)!
    const format = FORMATS[dtype]!
    const shape = [outFeatures, inFeatures]
    const each = (bytes: Uint8Array) => {
      const size = bytes.byteLength / count
      return Array.from({ length: count }, (_, i) => bytes.subarray(i * size, (i + 1) * size))
    }
    // Experts are quantized like the weights of linear layers, which they would be by themselves.
    const asLinear = count > 1 ? `${name}.weight` : name
    if (config && pool && !unquantized.has(name) && isQuantizable({ name: asLinear, shape }, config))
      return converter(name, async (bytes) => {
        const matrices: WeightMatrix[] = []
        for (const { buffer, byteOffset, byteLength } of each(bytes)) {
          const data =
            dtype === 'F32'
              ? new Float32Array(buffer, byteOffset, byteLength / 4)
              : new Uint16Array(buffer, byteOffset, byteLength / 2)
          const weight = { data, dtype: FLOAT_DTYPES[dtype]!, shape }
          matrices.push(quantizedMatrix(await quantizeWeight({ name, weight, config, pool })))
        }
        return matrices
      })
    const packed = (format: 'f32' | 'bf16' | 'f16') => (bytes: Uint8Array) =>
      packedWeight({ format, outFeatures, inFeatures, bytes })
    if (widen && format !== 'f32')
      return converter(name, (bytes) =>
        each(bytes).map((part) => packed('f32')(new Uint8Array(tensorValues(part, dtype, name).buffer))),
      )
    if (mmap && file !== '') {
      const size = byteLength / count
      const mapped = Array.from({ length: count }, (_, i) => mapWeight(file, offset + i * size, size))
      if (mapped.every((bytes) => bytes !== undefined)) return mapped.map(packed(format))
    }
    const bytes = weightMemory(byteLength)
    await checkpoint.readInto(name, bytes)
    return each(bytes).map(packed(format))
  }

  const waiting = [...shapes].reverse()
  const readOn = async () => {
    for (let next = waiting.pop(); next; next = waiting.pop()) {
      const [name, shape] = next
      const { dtype } = checkpoint.tensors.get(name)!
      if (!quantized.has(name) && !FORMATS[dtype])
        throw unsupported(`The tensor ${name} has the dtype ${dtype}, which cannot be computed with`, {
          where: folder,
          remedy: `Supported are ${FLOAT_TENSOR_DTYPES.join(', ')}, and weights quantized with bitsandbytes`,
        })
      if (shape.length === 1) vectors.set(name, tf.tensor1d(await readFloats(checkpoint, name)))
      else if (shape.length === 2)
        matrices.set(name, (await readMatrices(name, [1, ...(shape as [number, number])]))[0]!)
      else stacks.set(name, await readMatrices(name, shape as Stack))
      onProgress?.(matrices.size + stacks.size + vectors.size, shapes.size)
    }
  }
  try {
    const results = await Promise.allSettled(Array.from({ length: pool || widen ? 1 : READERS }, readOn))
    for (const result of results) if (result.status === 'rejected') throw result.reason
  } catch (error) {
    for (const matrix of [...matrices.values(), ...[...stacks.values()].flat()]) disposeWeight(matrix)
    tf.dispose([...vectors.values()])
    throw error
  } finally {
    await pool?.close()
  }
  return {
    matrix: (name) => matrices.get(name)!,
    stack: (name) => stacks.get(name)!,
    vector: (name) => vectors.get(name)!,
  }
}

/** Hands a tensor's bytes to a conversion, always in the same memory. */
function createConverter(checkpoint: TensorReader) {
  let memory = new Uint8Array(0)
  return async <Result>(name: string, convert: (bytes: Uint8Array) => Result | Promise<Result>): Promise<Result> => {
    const { byteLength } = checkpoint.tensors.get(name)!
    if (memory.byteLength < byteLength) memory = new Uint8Array(byteLength)
    const bytes = memory.subarray(0, byteLength)
    await checkpoint.readInto(name, bytes)
    return convert(bytes)
  }
}
