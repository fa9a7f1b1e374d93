import { packedWeight, type WeightMatrix } from '@tunesmith/backend'
import { type SafetensorsDtype, type TensorReader, tensorBytes } from '@tunesmith/hub'
import {
  absmaxOf,
  bitsandbytesParts,
  dequantize4bit,
  dequantizeInt8,
  fromBitsandbytes,
  type QuantizedWeight,
  quantMap4bit,
  type StoredTensor,
  toFloat32,
} from '@tunesmith/quantization'

/** A weight that lies quantized in a checkpoint: the tensors that make it up, and the shape of the matrix they stand for. */
export interface QuantizedEntry {
  parts: string[]
  shape: readonly number[]
}

/** Which of the named weights are stored as bitsandbytes does it. A 4-bit weight's shape stands in its JSON part. */
export async function findQuantized(
  names: Iterable<string>,
  checkpoint: TensorReader,
): Promise<Map<string, QuantizedEntry>> {
  const found = new Map<string, QuantizedEntry>()
  for (const name of names) {
    const parts = checkpoint.tensors.has(name) && bitsandbytesParts(name, (part) => checkpoint.tensors.has(part))
    if (!parts) continue
    const state = parts.find((part) => part.includes('.quant_state.'))
    let { shape } = checkpoint.tensors.get(name)!
    if (state) {
      try {
        shape = JSON.parse(new TextDecoder().decode(await checkpoint.read(state))).shape ?? []
      } catch {
        // fromBitsandbytes explains what is wrong with the JSON when the weight's turn comes.
      }
    }
    found.set(name, { parts, shape })
  }
  return found
}

/** Reads a weight that is stored quantized. It stays so in memory unless it is widened, which rounds as Python does. */
export async function readQuantized(
  name: string,
  { parts }: QuantizedEntry,
  checkpoint: TensorReader,
  widen: boolean,
): Promise<WeightMatrix> {
  const tensors: Record<string, StoredTensor> = {}
  for (const part of parts) {
    const { dtype, shape } = checkpoint.tensors.get(part)!
    tensors[part] = { dtype: dtype as SafetensorsDtype, shape, data: await checkpoint.read(part) }
  }
  const quantized = fromBitsandbytes({ name, tensors })
  if (!widen) return quantizedMatrix(quantized)
  const [outFeatures, inFeatures] = quantized.shape as [number, number]
  const values =
    quantized.kind === 'int8'
      ? dequantizeInt8({ quantized })
      : toFloat32(dequantize4bit({ quantized }), quantized.dtype)
  return packedWeight({ format: 'f32', outFeatures, inFeatures, bytes: tensorBytes(values, 'F32') })
}

const ROUND_TO = { float32: 'none', float16: 'f16', bfloat16: 'bf16' } as const

/**
 * A quantized weight as the kernels read it. Doubly quantized scales are expanded: half a bit per element. Values are
 * rounded to the dtype the weight was quantized from, as Python does when it dequantizes.
 */
export function quantizedMatrix(quantized: QuantizedWeight): WeightMatrix {
  const [outFeatures, inFeatures] = quantized.shape as [number, number]
  if (quantized.kind === 'int8') {
    const { weight, scb } = quantized
    const bytes = new Uint8Array(weight.buffer, weight.byteOffset, weight.byteLength)
    return packedWeight({ format: 'int8', outFeatures, inFeatures, bytes, scale: scb.map((largest) => largest / 127) })
  }
  return packedWeight({
    format: quantized.quantType,
    outFeatures,
    inFeatures,
    blockSize: quantized.blocksize,
    roundTo: ROUND_TO[quantized.dtype],
    bytes: quantized.packed,
    absmax: absmaxOf(quantized),
    code: quantMap4bit(quantized.quantType),
  })
}
