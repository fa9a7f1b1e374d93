import { join } from 'node:path'
import { parseOptions, TunesmithError } from '@tunesmith/core'
import { openCheckpoint, readJsonFile, resolveModelFolder } from '@tunesmith/hub'
import { type QuantizationConfigOptions, quantizationConfigFromJson } from '@tunesmith/quantization'
import { z } from 'zod'
import { CausalLM } from './causal-lm'
import { checkTensors, tensorShapes } from './checkpoint-tensors'
import { parseModelConfig } from './config'
import { readGenerationDefaults } from './generation/generation-config'
import { findQuantized } from './quantized'
import { readWeights } from './read-weights'
import { randomWeights } from './weight-source'

const loadSchema = z.strictObject({
  /**
   * `auto` keeps the checkpoint's own dtype, or its quantization; `float32` widens every weight. Default `auto`.
   *
   * A 4-bit weight's values are rounded to the dtype it was quantized from, as in Python, whether widened or kept.
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

/**
 * Loads a model from a folder in Hugging Face layout, or from the Hub.
 *
 * Weights stream from disk tensor by tensor and stay in the checkpoint's dtype: bfloat16, and weights that
 * bitsandbytes quantized (NF4, FP4, int8), are computed with in that form. They are frozen;
 * adapters train beside them, and {@link makeTrainable} turns them into float32 variables.
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
  const generation = await readGenerationDefaults(folder, config)
  const checkpoint = await openCheckpoint(folder)
  try {
    const shapes = tensorShapes(config)
    const quantized = await findQuantized(shapes.keys(), checkpoint)
    if (quantized.size > 0 && parsed.quantizationConfig)
      throw new TunesmithError('The checkpoint is quantized already', {
        code: 'incompatible',
        where: folder,
        remedy: 'Leave out quantizationConfig, or start from the unquantized model',
      })
    checkTensors(shapes, checkpoint, quantized, config, folder)
    const { dtype, quantizationConfig, onProgress } = parsed
    const widen = dtype === 'float32'
    const source = await readWeights({ shapes, checkpoint, quantized, folder, widen, quantizationConfig, onProgress })
    const model = new CausalLM(config, source, nameOrPath)
    model.generation = generation
    return model
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
