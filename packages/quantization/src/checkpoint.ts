import { existsSync } from 'node:fs'
import { copyFile, readdir, readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import {
  incompatible,
  makeFolder,
  notFound,
  parseJsonObject,
  parseOptions,
  refuseSources,
  statRegularFile,
  TunesmithError,
  writeFileAtomic,
} from '@tunesmith/core'
import { openCheckpoint, type TensorReader, type TensorToWrite, writeShardedSafetensors } from '@tunesmith/hub'
import { z } from 'zod'
import { toBitsandbytes } from './bitsandbytes'
import {
  addQuantizationConfig,
  isQuantizable,
  type QuantizationConfig,
  type QuantizationConfigOptions,
  quantizationConfig,
  quantizationConfigFromJson,
} from './config'
import type { FloatTensor } from './floats'
import { createSharedMemory } from './four-bit/shared'
import { createQuantizationPool, type QuantizationPool } from './pool'
import type { QuantizationReport, QuantizedLayer } from './report'
import { FLOAT_DTYPES, quantizeWeight } from './weights'

const options = z.strictObject({
  /** The model's folder: config.json and safetensors, one file or shards. */
  model: z.string().min(1),
  /** The folder to write; other files in it are left alone. */
  out: z.string().min(1),
  /** `loadIn4bit` or `loadIn8bit`, and the rest of the twin of BitsAndBytesConfig. */
  config: z.custom<QuantizationConfigOptions>((c) => typeof c === 'object' && c !== null, 'must be an object'),
  /** Elements per 4-bit scale. Default 64. */
  blocksize: z.int().positive().optional(),
  /** Default: one per core. */
  threads: z.int().positive().optional(),
  /** Most bytes per file, e.g. `'5GB'`. Default `'5GB'`. */
  maxShardSize: z.union([z.number().positive(), z.string()]).optional(),
  /** Called after each tensor of the checkpoint. */
  onProgress: z.custom<(progress: QuantizeProgress) => void>((f) => typeof f === 'function').optional(),
  /** Stops between two tensors; nothing is then written. */
  signal: z.instanceof(AbortSignal).optional(),
})

export interface QuantizeProgress {
  /** Bytes of the original read so far, of `total`. */
  done: number
  total: number
  /** The tensor just finished. */
  name: string
}

export type QuantizeCheckpointOptions = z.input<typeof options>

/**
 * Quantizes a checkpoint into a new folder that transformers, PEFT and vLLM load as it is: the linear weights in
 * bitsandbytes' layout, the other tensors as they were, config.json with `quantization_config`, tokenizer files copied.
 *
 * Memory: the quantized weights and two original tensors, one being quantized while the next is read. Weights are split
 * among worker threads. Tensors that stay as they are are read when they are written.
 *
 * @returns sizes and the error of every quantized layer.
 * @throws {TunesmithError} `not_found`, `invalid_file`, `io` as reading and writing checkpoints do; `incompatible` for a
 *   model that is quantized already; `numerical` for a weight with NaN or infinities; `aborted`. No file is changed then.
 */
export async function quantizeCheckpoint(input: QuantizeCheckpointOptions): Promise<QuantizationReport> {
  const parsed = parseOptions(options, input, 'quantizeCheckpoint')
  const { model, out, maxShardSize, threads } = parsed
  const config = quantizationConfig(parsed.config)
  await refuseSources(out, [model])
  const configText = await readConfig(model)
  const reader = await openCheckpoint(model)
  const pool = createQuantizationPool({ threads })
  try {
    const layers: QuantizedLayer[] = []
    const tensors = await quantizeTensors({ ...parsed, config, reader, pool, layers })
    if (layers.length === 0)
      throw incompatible('no tensor of the model is a weight to quantize', {
        where: model,
        remedy: 'Check llmInt8SkipModules; only .weight tensors of linear layers in f32, f16 or bf16 are quantized',
      })
    const { totalSize } = await writeShardedSafetensors(out, tensors, { maxShardSize })
    await copyOtherFiles(model, out)
    await writeFileAtomic(join(out, 'config.json'), addQuantizationConfig(configText, config))
    const bytesBefore = [...reader.tensors.values()].reduce((sum, { byteLength }) => sum + byteLength, 0)
    return { format: formatOf(config), bytesBefore, bytesAfter: totalSize, layers }
  } finally {
    await pool.close()
    await reader.close()
  }
}

const formatOf = (config: QuantizationConfig) => (config.loadIn8bit ? 'int8' : config.bnb4bitQuantType)

async function readConfig(model: string): Promise<string> {
  const path = join(model, 'config.json')
  if (existsSync(path)) await statRegularFile(path)
  const text = await readFile(path, 'utf8').catch((cause) => {
    throw notFound('The model has no config.json', {
      where: path,
      remedy: 'Pass the folder of a Hugging Face model',
      cause,
    })
  })
  if (quantizationConfigFromJson(parseJsonObject(text, path)))
    throw incompatible('The model is quantized already', { where: path, remedy: 'Start from the unquantized model' })
  return text
}

type Work = Pick<z.output<typeof options>, 'blocksize' | 'onProgress' | 'signal'> & {
  config: QuantizationConfig
  reader: TensorReader
  pool: QuantizationPool
  /** Filled with what was quantized. */
  layers: QuantizedLayer[]
}

/** All tensors of the new checkpoint: quantized ones in memory, the others as functions that read them. */
async function quantizeTensors(work: Work): Promise<TensorToWrite[]> {
  const { config, reader, pool, layers, onProgress, signal, blocksize } = work
  const entries = [...reader.tensors]
  const total = entries.reduce((sum, [, { byteLength }]) => sum + byteLength, 0)
  const chosen = entries.filter(([name, info]) => FLOAT_DTYPES[info.dtype] && isQuantizable({ name, ...info }, config))
  const largest = chosen.reduce((size, [, { byteLength }]) => Math.max(size, byteLength), 0)
  const memory = createSharedMemory()
  const read = async (index: number): Promise<FloatTensor | undefined> => {
    const [name, { dtype, shape, byteLength }] = chosen[index] ?? []
    if (name === undefined || !dtype || !shape || byteLength === undefined) return undefined
    // Two buffers in turn, in shared memory, where the threads read them without a copy.
    const buffer = memory.take(index % 2 ? 'odd' : 'even', largest)
    await reader.readInto(name, new Uint8Array(buffer, 0, byteLength))
    const data =
      dtype === 'F32' ? new Float32Array(buffer, 0, byteLength / 4) : new Uint16Array(buffer, 0, byteLength / 2)
    return { dtype: FLOAT_DTYPES[dtype]!, shape, data }
  }

  const tensors: TensorToWrite[] = []
  let done = 0
  let nextIndex = 0
  let next = read(nextIndex)
  // Rejected while another tensor is still worked on: it is reported when its turn comes.
  next.catch(() => undefined)
  for (const [name, { dtype, shape, byteLength }] of entries) {
    if (signal?.aborted)
      throw new TunesmithError('Quantization was stopped', { code: 'aborted', where: name, cause: signal.reason })
    if (chosen[nextIndex]?.[0] === name) {
      const weight = (await next)!
      next = read(++nextIndex)
      next.catch(() => undefined)
      const quantized = await quantizeWeight({ name, weight, config, pool, blocksize })
      const error = await pool.compare({ ...weight, quantized })
      const parts = toBitsandbytes({ name, quantized, quantStorage: config.bnb4bitQuantStorage })
      let bytesAfter = 0
      for (const [part, tensor] of Object.entries(parts)) {
        tensors.push({ name: part, ...tensor })
        bytesAfter += tensor.data.byteLength
      }
      layers.push({ name, shape, bytesBefore: byteLength, bytesAfter, ...error })
    } else tensors.push({ name, dtype, shape, data: () => reader.read(name) })
    done += byteLength
    onProgress?.({ done, total, name })
  }
  return tensors
}

/** Tokenizer, generation config and the like: all files of the folder that are neither weights nor config.json. */
async function copyOtherFiles(model: string, out: string): Promise<void> {
  await makeFolder(out)
  for (const entry of await readdir(model, { withFileTypes: true })) {
    const isWeights = /\.(safetensors|bin|pt|pth|gguf|h5|msgpack|onnx)$|\.index\.json$/.test(entry.name)
    if (
      (await stat(join(model, entry.name))).isFile() &&
      !isWeights &&
      entry.name !== 'config.json' &&
      !entry.name.startsWith('.')
    )
      await copyFile(join(model, entry.name), join(out, entry.name))
  }
}
