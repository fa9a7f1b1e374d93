import { totalmem } from 'node:os'
import { join } from 'node:path'
import { incompatible, invalidOptions, parseOptions, TunesmithError } from '@tunesmith/core'
import { openCheckpoint, readJsonFile, resolveModelFolder } from '@tunesmith/hub'
import { type QuantizationConfigOptions, quantizationConfigFromJson } from '@tunesmith/quantization'
import { z } from 'zod'
import { architectureNames, architectureOf } from './architectures'
import { CausalLM } from './causal-lm'
import { checkLayerCount, checkTensors, tensorShapes, unquantizedTensors } from './checkpoint-tensors'
import { describeLeftOut, viewCheckpoint } from './checkpoint-view'
import { parseModelConfig } from './config'
import type { Warn } from './config-file'
import { readGenerationDefaults } from './generation/generation-config'
import type { ModelConfig } from './model-config'
import { findQuantized } from './quantized'
import { readWeights } from './read-weights'
import { resolveTiedHead } from './tied-head'
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
  /**
   * Uses weights in place in their files where the backend can (native, except on Windows): nothing is copied, and what is
   * not used is not read. The files must not be changed meanwhile, other than by renaming new ones over them. Default true.
   */
  mmap: z.boolean().default(true),
  /** Branch, tag or commit on the Hub. Default `main`. */
  revision: z.string().optional(),
  /** Gets a line for what looks wrong in the model's files, or is not known and not used. Default `console.warn`. */
  onWarning: z.custom<Warn>((value) => typeof value === 'function').default(() => (line: string) => console.warn(line)),
  /** Called after each tensor. */
  onProgress: z.custom<(loaded: number, total: number) => void>().optional(),
})
export type LoadModelOptions = z.input<typeof loadSchema>

/**
 * Loads a model from a folder in Hugging Face layout, or from the Hub.
 *
 * Weights are used in place in their files, or stream from disk tensor by tensor, and stay in the checkpoint's dtype: bfloat16, and weights that
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
  const { onWarning } = parsed
  const config = parseModelConfig(await readJsonFile(file), file, onWarning)
  // Gemma's embedding scale is rounded to the dtype that is computed in.
  if (parsed.dtype === 'float32') config.dtype = 'float32'
  quantizationConfigFromJson(config.raw, onWarning) // refuses other methods by name
  const generation = await readGenerationDefaults(folder, config, onWarning)
  const opened = await openCheckpoint(folder)
  try {
    checkLayerCount(config, opened, folder)
    // The head may be there although it is tied.
    const head = [`${config.names.head}.weight`, [config.vocabSize, config.hiddenSize]] as const
    const expected = new Map<string, readonly number[]>([...tensorShapes(config), head])
    const view = viewCheckpoint(opened, expected, config, folder)
    const leftOut = describeLeftOut(view.leftOut)
    if (leftOut) onWarning(`${folder}: ${leftOut}`)
    const checkpoint = await resolveTiedHead(config, view.reader, folder, onWarning)
    const shapes = tensorShapes(config)
    const quantized = await findQuantized(shapes.keys(), checkpoint)
    if (quantized.size > 0 && parsed.quantizationConfig)
      throw incompatible('The checkpoint is quantized already', {
        where: folder,
        remedy: 'Leave out quantizationConfig, or start from the unquantized model',
      })
    checkTensors(shapes, checkpoint, quantized, config, folder)
    const { dtype, mmap, quantizationConfig, onProgress } = parsed
    const widen = dtype === 'float32'
    const source = await readWeights({
      shapes,
      checkpoint,
      quantized,
      folder,
      unquantized: unquantizedTensors(config),
      widen,
      mmap,
      quantizationConfig,
      onProgress,
    })
    const model = new CausalLM(config, source, nameOrPath)
    model.generation = generation
    const { stored } = view
    model.origin = { folder, stored, leftOut: view.leftOut }
    return model
  } finally {
    await opened.close()
  }
}

/** Without them a model would have the several billion parameters of its family's class defaults. */
const SIZES = ['vocab_size', 'hidden_size', 'intermediate_size', 'num_hidden_layers', 'num_attention_heads']

/** @throws {TunesmithError} `out_of_memory` for a model that this machine's memory cannot hold in float32. */
function checkMemory(config: ModelConfig): void {
  const shapes = [...tensorShapes(config).values()]
  const bytes = 4 * shapes.reduce((sum, shape) => sum + shape.reduce((size, n) => size * n, 1), 0)
  if (bytes <= totalmem()) return
  throw new TunesmithError(`The model has ${(bytes / 4).toExponential(2)} parameters, more than the memory can hold`, {
    code: 'out_of_memory',
    where: 'createModel',
    remedy: 'Choose smaller sizes',
  })
}

/**
 * Makes a model with random trainable weights, for pre-training and for tests.
 *
 * @param config the content of a config.json, with its sizes.
 * @param seed default 0; the same seed gives the same weights.
 */
export function createModel(config: Record<string, unknown>, { seed = 0 }: { seed?: number } = {}): CausalLM {
  const names = architectureNames().includes(String(config.model_type))
    ? Object.entries(architectureOf(String(config.model_type)).keys ?? {})
    : []
  const given = (key: string) =>
    config[key] !== undefined || names.some(([own, name]) => name === key && config[own] !== undefined)
  const absent = SIZES.filter((key) => !given(key))
  if (absent.length > 0)
    throw invalidOptions(`A model that is made fresh needs ${absent.join(', ')}`, {
      where: 'createModel',
      remedy: 'Give its sizes; what else the configuration leaves out is as in transformers',
    })
  const parsed = parseModelConfig(config)
  checkMemory(parsed)
  return new CausalLM(parsed, randomWeights(seed, parsed.initializerRange))
}
