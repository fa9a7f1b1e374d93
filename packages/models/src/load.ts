import { join } from 'node:path'
import * as tf from '@tensorflow/tfjs-core'
import { packedWeight, type WeightMatrix } from '@tunesmith/backend'
import { parseOptions, TunesmithError } from '@tunesmith/core'
import {
  bf16ToF32,
  f16ToF32,
  openCheckpoint,
  readJsonFile,
  resolveModelFolder,
  type TensorReader,
} from '@tunesmith/hub'
import {
  createQuantizationPool,
  FLOAT_DTYPES,
  isQuantizable,
  type QuantizationConfigOptions,
  type QuantizationPool,
  quantizationConfig,
  quantizationConfigFromJson,
  quantizeWeight,
} from '@tunesmith/quantization'
import { z } from 'zod'
import { CausalLM } from './causal-lm'
import { type ModelConfig, parseModelConfig } from './config'
import { findQuantized, type QuantizedEntry, quantizedMatrix, readQuantized } from './quantized'
import { randomWeights, type WeightSource } from './weight-source'

const loadSchema = z.strictObject({
  /**
   * `auto` keeps the checkpoint's own dtype, or its quantization; `float32` widens every weight. Default `auto`.
   *
   * A quantized weight that is widened is rounded to the dtype it was quantized from, as in Python; kept, it is
   * multiplied unrounded.
   */
  dtype: z.enum(['auto', 'float32']).default('auto'),
  /**
   * Quantizes the linear layers while they are read, e.g. `{ loadIn4bit: true, bnb4bitQuantType: 'nf4' }`; the output
   * layer, the embeddings and the norms stay as they are. Default: as the checkpoint is.
   */
  quantizationConfig: z.custom<QuantizationConfigOptions>((value) => typeof value === 'object').optional(),
  /** Branch, tag or commit on the Hub. Default `main`. */
  revision: z.string().optional(),
  /** Called after each tensor. */
  onProgress: z.custom<(loaded: number, total: number) => void>().optional(),
})
export type LoadModelOptions = z.input<typeof loadSchema>

interface TensorSpec {
  kind: 'matrix' | 'vector'
  shape: number[]
}

/** The tensors a model of this configuration needs, found by building it out of nothing. */
export function tensorSpecs(config: ModelConfig): Map<string, TensorSpec> {
  const specs = new Map<string, TensorSpec>()
  const recorder: WeightSource = {
    matrix(name, outFeatures, inFeatures) {
      specs.set(name, { kind: 'matrix', shape: [outFeatures, inFeatures] })
      return { format: 'f32', outFeatures, inFeatures, weight: undefined as never }
    },
    vector(name, size) {
      specs.set(name, { kind: 'vector', shape: [size] })
      return undefined as never
    },
  }
  new CausalLM(config, recorder)
  return specs
}

/** Tensors that older checkpoints carry and no model reads. */
const IGNORED = [/rotary_emb\.inv_freq$/]

function checkTensors(
  specs: Map<string, TensorSpec>,
  checkpoint: TensorReader,
  quantized: Map<string, QuantizedEntry>,
  config: ModelConfig,
  folder: string,
): void {
  const parts = new Set([...quantized.values()].flatMap((entry) => entry.parts))
  const missing = [...specs.keys()].filter((name) => !checkpoint.tensors.has(name))
  const extra = [...checkpoint.tensors.keys()].filter(
    (name) =>
      !specs.has(name) &&
      !parts.has(name) &&
      !IGNORED.some((pattern) => pattern.test(name)) &&
      !(config.tieWordEmbeddings && name === 'lm_head.weight'),
  )
  const misshapen = [...specs].flatMap(([name, { shape }]) => {
    const found = quantized.get(name)?.shape ?? checkpoint.tensors.get(name)?.shape
    return found && found.join() !== shape.join() ? [`${name} is [${found}] instead of [${shape}]`] : []
  })
  const problems = [
    ...(missing.length ? [`missing: ${missing.join(', ')}`] : []),
    ...(extra.length ? [`not part of the model: ${extra.join(', ')}`] : []),
    ...(misshapen.length ? [`wrong shape: ${misshapen.join(', ')}`] : []),
  ]
  if (problems.length === 0) return
  throw new TunesmithError(`The weights do not fit the configuration; ${problems.join('; ')}`, {
    code: 'incompatible',
    where: folder,
    remedy: 'Check that config.json and the weights belong to the same model',
  })
}

const FORMATS: Record<string, 'f32' | 'bf16' | 'f16'> = { F32: 'f32', BF16: 'bf16', F16: 'f16' }

function toFloat32(bytes: Uint8Array, dtype: string): Float32Array {
  if (dtype === 'BF16') return bf16ToF32(bytes)
  if (dtype === 'F16') return f16ToF32(bytes)
  return new Float32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 4)
}

interface Reading {
  specs: Map<string, TensorSpec>
  checkpoint: TensorReader
  quantized: Map<string, QuantizedEntry>
  options: z.output<typeof loadSchema>
  folder: string
}

/** Reads every tensor of the specs, one at a time. */
async function readWeights({ specs, checkpoint, quantized, options, folder }: Reading): Promise<WeightSource> {
  const matrices = new Map<string, WeightMatrix>()
  const vectors = new Map<string, tf.Tensor1D>()
  const quantize = options.quantizationConfig && quantizationConfig(options.quantizationConfig)
  const wantsQuantized = quantize && (quantize.loadIn4bit || quantize.loadIn8bit)
  const pool: QuantizationPool | undefined = wantsQuantized ? createQuantizationPool() : undefined
  try {
    for (const [name, { kind, shape }] of specs) {
      const stored = quantized.get(name)
      const { dtype } = checkpoint.tensors.get(name)!
      const format = FORMATS[dtype]
      if (stored) matrices.set(name, await readQuantized(name, stored, checkpoint, options.dtype === 'float32'))
      else if (!format)
        throw new TunesmithError(`The tensor ${name} has the dtype ${dtype}, which cannot be computed with`, {
          code: 'unsupported',
          where: folder,
          remedy: `Supported are ${Object.keys(FORMATS).join(', ')}, and weights quantized with bitsandbytes`,
        })
      else if (kind === 'vector') vectors.set(name, tf.tensor1d(toFloat32(await checkpoint.read(name), dtype)))
      else {
        const bytes = await checkpoint.read(name)
        const [outFeatures, inFeatures] = shape as [number, number]
        if (quantize && pool && isQuantizable({ name, shape }, quantize)) {
          const { buffer, byteOffset, byteLength } = bytes
          const data =
            dtype === 'F32'
              ? new Float32Array(buffer, byteOffset, byteLength / 4)
              : new Uint16Array(buffer, byteOffset, byteLength / 2)
          const weight = { data, dtype: FLOAT_DTYPES[dtype]!, shape }
          matrices.set(name, quantizedMatrix(await quantizeWeight({ name, weight, config: quantize, pool })))
        } else {
          const widen = options.dtype === 'float32' && format !== 'f32'
          const data = widen ? new Uint8Array(toFloat32(bytes, dtype).buffer) : bytes
          matrices.set(name, packedWeight({ format: widen ? 'f32' : format, outFeatures, inFeatures, bytes: data }))
        }
      }
      options.onProgress?.(matrices.size + vectors.size, specs.size)
    }
  } finally {
    await pool?.close()
  }
  return { matrix: (name) => matrices.get(name)!, vector: (name) => vectors.get(name)! }
}

/**
 * Loads a model from a folder in Hugging Face layout, or from the Hub.
 *
 * Weights stream from disk tensor by tensor and stay in the checkpoint's dtype: bfloat16, and weights that
 * bitsandbytes quantized (NF4, FP4, int8), are computed with as they lie. They are frozen; adapters train beside them, and {@link makeTrainable} turns them into float32 variables.
 *
 * @param nameOrPath a folder with config.json and safetensors, or a Hub id like `TinyLlama/TinyLlama-1.1B-Chat-v1.0`.
 * @throws {TunesmithError} `not_found`, `unsupported` (architecture, dtype, quantization method) or `incompatible` with the
 *   missing, extra and misshapen tensors by name, also when a quantized checkpoint shall be quantized.
 */
export async function loadModel(nameOrPath: string, options: LoadModelOptions = {}): Promise<CausalLM> {
  const parsed = parseOptions(loadSchema, options, 'loadModel')
  const folder = await resolveModelFolder(nameOrPath, { revision: parsed.revision })
  const file = join(folder, 'config.json')
  const config = parseModelConfig(await readJsonFile(file), file)
  // Gemma's embedding scale is rounded to the dtype that is computed in.
  if (parsed.dtype === 'float32') config.dtype = 'float32'
  quantizationConfigFromJson(config.raw) // refuses other methods by name
  const checkpoint = await openCheckpoint(folder)
  try {
    const specs = tensorSpecs(config)
    const quantized = await findQuantized(specs.keys(), checkpoint)
    if (quantized.size > 0 && parsed.quantizationConfig)
      throw new TunesmithError('The checkpoint is quantized already', {
        code: 'incompatible',
        where: folder,
        remedy: 'Leave out quantizationConfig, or start from the unquantized model',
      })
    checkTensors(specs, checkpoint, quantized, config, folder)
    const source = await readWeights({ specs, checkpoint, quantized, options: parsed, folder })
    return new CausalLM(config, source, nameOrPath)
  } finally {
    await checkpoint.close()
  }
}

/**
 * Makes a model with random trainable weights, for pre-training and for tests.
 *
 * @param config the content of a config.json.
 * @param seed default 0; the same seed gives the same weights.
 */
export function createModel(config: Record<string, unknown>, { seed = 0 }: { seed?: number } = {}): CausalLM {
  const parsed = parseModelConfig(config)
  return new CausalLM(parsed, randomWeights(seed, parsed.initializerRange))
}
