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

import { z } from 'zod'
import { CausalLM } from './causal-lm'
import { type ModelConfig, parseModelConfig } from './config'
import { randomWeights, type WeightSource } from './weight-source'

const loadSchema = z.strictObject({
  /** `auto` keeps the checkpoint's own dtype; `float32` widens every weight. Default `auto`. */
  dtype: z.enum(['auto', 'float32']).default('auto'),
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
  config: ModelConfig,
  folder: string,
): void {
  const missing = [...specs.keys()].filter((name) => !checkpoint.tensors.has(name))
  const extra = [...checkpoint.tensors.keys()].filter(
    (name) =>
      !specs.has(name) &&
      !IGNORED.some((pattern) => pattern.test(name)) &&
      !(config.tieWordEmbeddings && name === 'lm_head.weight'),
  )
  const misshapen = [...specs].flatMap(([name, { shape }]) => {
    const found = checkpoint.tensors.get(name)?.shape
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

/** Reads every tensor of the specs, one at a time. */
async function readWeights(
  specs: Map<string, TensorSpec>,
  checkpoint: TensorReader,
  { dtype: wanted, onProgress }: z.output<typeof loadSchema>,
  folder: string,
): Promise<WeightSource> {
  const matrices = new Map<string, WeightMatrix>()
  const vectors = new Map<string, tf.Tensor1D>()
  for (const [name, { kind, shape }] of specs) {
    const { dtype } = checkpoint.tensors.get(name)!
    const format = FORMATS[dtype]
    if (!format)
      throw new TunesmithError(`The tensor ${name} has the dtype ${dtype}, which cannot be computed with`, {
        code: 'unsupported',
        where: folder,
        remedy: `Supported are ${Object.keys(FORMATS).join(', ')}`,
      })
    const bytes = await checkpoint.read(name)
    if (kind === 'vector') vectors.set(name, tf.tensor1d(toFloat32(bytes, dtype)))
    else {
      const [outFeatures, inFeatures] = shape as [number, number]
      const widen = wanted === 'float32' && format !== 'f32'
      const data = widen ? new Uint8Array(toFloat32(bytes, dtype).buffer) : bytes
      matrices.set(name, packedWeight({ format: widen ? 'f32' : format, outFeatures, inFeatures, bytes: data }))
    }
    onProgress?.(matrices.size + vectors.size, specs.size)
  }
  return { matrix: (name) => matrices.get(name)!, vector: (name) => vectors.get(name)! }
}

/**
 * Loads a model from a folder in Hugging Face layout, or from the Hub.
 *
 * Weights stream from disk tensor by tensor and stay in the checkpoint's dtype: bfloat16 is computed with as it lies.
 * They are frozen; adapters train beside them, and {@link makeTrainable} turns them into float32 variables.
 *
 * @param nameOrPath a folder with config.json and safetensors, or a Hub id like `TinyLlama/TinyLlama-1.1B-Chat-v1.0`.
 * @throws {TunesmithError} `not_found`, `unsupported` (architecture, dtype) or `incompatible` with the missing, extra
 *   and misshapen tensors by name.
 */
export async function loadModel(nameOrPath: string, options: LoadModelOptions = {}): Promise<CausalLM> {
  const parsed = parseOptions(loadSchema, options, 'loadModel')
  const folder = await resolveModelFolder(nameOrPath, { revision: parsed.revision })
  const file = join(folder, 'config.json')
  const config = parseModelConfig(await readJsonFile(file), file)
  const checkpoint = await openCheckpoint(folder)
  try {
    const specs = tensorSpecs(config)
    checkTensors(specs, checkpoint, config, folder)
    return new CausalLM(config, await readWeights(specs, checkpoint, parsed, folder), nameOrPath)
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
