import { copyFile, readdir } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import type * as tf from '@tensorflow/tfjs-core'
import { dequantize, type WeightMatrix } from '@tunesmith/backend'
import {
  isTunesmithError,
  makeFolder,
  parseOptions,
  statRegularFile,
  stringifyJson,
  unsupported,
  writeFileAtomic,
} from '@tunesmith/core'
import {
  openCheckpoint,
  type SafetensorsDtype,
  type TensorReader,
  type TensorToWrite,
  tensorBytes,
  writeShardedSafetensors,
} from '@tunesmith/hub'
import { Tokenizer } from '@tunesmith/tokenization'
import { z } from 'zod'
import { architectureOf } from './architectures'
import type { CausalLM } from './causal-lm'
import { transposeBytes } from './checkpoint-view'
import { endTokens } from './generation/answer-ends'
import type { StoredTensor } from './stored-tensor'

const DTYPES = { float32: 'F32', bfloat16: 'BF16', float16: 'F16' } as const
type Dtype = keyof typeof DTYPES

const saveSchema = z.strictObject({
  /**
   * Dtype of the matrices and vectors in the files. Default `auto`: that of the weights in memory; for quantized weights, which are
   * expanded, the one they were quantized from.
   */
  dtype: z.enum(['auto', 'float32', 'bfloat16', 'float16']).default('auto'),
  /** Largest file: bytes, or text like `5GB` or `500MB`. Default `5GB`. */
  maxShardSize: z.union([z.string(), z.number()]).optional(),
  /** Saved beside the weights. */
  tokenizer: z.instanceof(Tokenizer).optional(),
  /** A folder whose tokenizer files are copied as they are; instead of `tokenizer`. Its chat template says what ends a turn too. */
  tokenizerFrom: z.string().optional(),
})
export type SavePretrainedOptions = z.input<typeof saveSchema>

/** A matrix is expanded in pieces of about this many numbers. */
const PIECE = 1 << 24

/** A matrix as float32, some rows at a time: a multiple of `together`. */
export function* rowPieces(weight: WeightMatrix, together = 1): Generator<Float32Array> {
  const { outFeatures, inFeatures } = weight
  const step = Math.max(1, Math.floor(PIECE / inFeatures / together)) * together
  for (let row = 0; row < outFeatures; row += step) {
    const rows = dequantize(weight, row, Math.min(row + step, outFeatures))
    const values = rows.dataSync() as Float32Array
    rows.dispose()
    yield values
  }
}

function encodeMatrix(weight: WeightMatrix, dtype: Dtype): Uint8Array {
  const { outFeatures, inFeatures } = weight
  const bytes = new Uint8Array(outFeatures * inFeatures * (dtype === 'float32' ? 4 : 2))
  let at = 0
  for (const values of rowPieces(weight)) {
    const piece = tensorBytes(values, DTYPES[dtype])
    bytes.set(piece, at)
    at += piece.byteLength
  }
  return bytes
}

/** Every tensor of a model under its checkpoint name; the data is made when it is written. A tied head is left out. */
export function* modelTensors(model: CausalLM, dtype: Dtype): Generator<TensorToWrite> {
  const matrix = (name: string, weight: WeightMatrix): TensorToWrite => ({
    name,
    dtype: DTYPES[dtype],
    shape: [weight.outFeatures, weight.inFeatures],
    data: async () => encodeMatrix(weight, dtype),
  })
  const vector = (name: string, tensor: tf.Tensor1D): TensorToWrite => ({
    name,
    dtype: DTYPES[dtype],
    shape: [tensor.size],
    data: async () => tensorBytes(tensor.dataSync() as Float32Array, DTYPES[dtype]),
  })
  yield matrix(`${model.embedTokens.name}.weight`, model.embedTokens.weight)
  if (model.embedPositions) yield matrix(`${model.embedPositions.name}.weight`, model.embedPositions.weight)
  for (const module of model.linears.values()) {
    if (module === model.lmHead && model.config.tieWordEmbeddings) continue
    yield matrix(`${module.name}.weight`, module.weight)
    if (module.bias) yield vector(`${module.name}.bias`, module.bias)
  }
  for (const { name, weights } of model.experts.values())
    yield {
      name,
      dtype: DTYPES[dtype],
      shape: [weights.length, weights[0]!.outFeatures, weights[0]!.inFeatures],
      data: async () => Buffer.concat(weights.map((weight) => encodeMatrix(weight, dtype))),
    }
  for (const { name, weight, bias } of model.norms.values()) {
    yield vector(`${name}.weight`, weight)
    if (bias) yield vector(`${name}.bias`, bias)
  }
}

/** A tensor as the checkpoint that the model is from holds it, or as transformers writes it: under other names, in pieces, transposed. */
function* asStored(tensor: TensorToWrite, how: StoredTensor | undefined): Generator<TensorToWrite> {
  if (!how) {
    yield tensor
    return
  }
  const { parts, transposed } = how
  const [rows, ...rest] = tensor.shape as [number, ...number[]]
  const [count, ...matrix] = tensor.shape
  const all = rest.length === 2 ? [count! * matrix[0]!, matrix[1]!] : tensor.shape
  const shape = transposed
    ? [...rest, rows]
    : parts.length > 1
      ? [all[0]! / parts.length, ...all.slice(1)]
      : tensor.shape
  const data = async () => {
    const bytes = (await tensorData(tensor)) as Uint8Array
    return transposed ? transposeBytes(bytes, rows, rest[0]!) : bytes
  }
  for (const [i, name] of parts.entries())
    yield {
      ...tensor,
      name,
      shape,
      data: async () => {
        const bytes = await data()
        const size = bytes.byteLength / parts.length
        return parts.length === 1 ? bytes : bytes.slice(i * size, (i + 1) * size)
      },
    }
}

const tensorData = ({ data }: TensorToWrite) => (typeof data === 'function' ? data() : data)

/** All tensors of the files: the model's as its checkpoint has them, and those of the checkpoint that the model does not have. */
function* fileTensors(model: CausalLM, dtype: Dtype, checkpoint: TensorReader | undefined): Generator<TensorToWrite> {
  const { origin, config } = model
  const { stored } = architectureOf(config.modelType)
  for (const tensor of modelTensors(model, dtype))
    yield* asStored(tensor, origin ? origin.stored.get(tensor.name) : stored?.(tensor.name, config))
  for (const name of origin?.leftOut ?? []) {
    const { dtype, shape } = checkpoint!.tensors.get(name)!
    yield { name, dtype: dtype as SafetensorsDtype, shape, data: () => checkpoint!.read(name) }
  }
}

const expertWeights = (model: CausalLM) => [...model.experts.values()].flatMap(({ weights }) => weights)

/** The widest dtype of the weights in memory, so that nothing is lost. */
function dtypeOf(model: CausalLM): Dtype {
  const formats = new Set(
    [...[...model.linears.values(), model.embedTokens].map(({ weight }) => weight), ...expertWeights(model)].map(
      ({ format }) => format,
    ),
  )
  if (formats.has('f32')) return 'float32'
  if (formats.has('bf16')) return formats.has('f16') ? 'float32' : 'bfloat16'
  if (formats.has('f16')) return 'float16'
  const { dtype } = model.config
  return dtype === 'float16' || dtype === 'float32' ? dtype : 'bfloat16'
}

const TOKENIZER_FILES =
  /^(tokenizer.*\.(json|model)|special_tokens_map\.json|added_tokens\.json|chat_template\.(jinja|json)|vocab\.json|merges\.txt)$/

/** Of the parts that are no text. */
const PROCESSOR_FILES = /^(preprocessor_config|processor_config|video_preprocessor_config)\.json$/

/**
 * generation_config.json: as it was read, with the special tokens as they are now and, with a tokenizer, what its chat
 * template ends a turn with.
 */
export function generationConfig(model: Pick<CausalLM, 'generation'>, tokenizer?: Tokenizer): Record<string, unknown> {
  const { bosTokenId, padTokenId, raw } = model.generation
  const turnEnds = tokenizer?.endOfTurn().ids ?? []
  const eosTokenIds = turnEnds.length > 0 ? endTokens(model, tokenizer!) : model.generation.eosTokenIds
  return {
    ...raw,
    ...(bosTokenId !== undefined && { bos_token_id: bosTokenId }),
    ...(eosTokenIds.length > 0 && { eos_token_id: eosTokenIds.length === 1 ? eosTokenIds[0] : eosTokenIds }),
    ...(padTokenId !== undefined && { pad_token_id: padTokenId }),
  }
}

/**
 * Saves a model in Hugging Face layout: safetensors (sharded with an index when large), config.json,
 * generation_config.json and, when one is given, the tokenizer. transformers, vLLM and {@link loadModel} read it.
 *
 * Quantized weights are expanded; an adapter must be merged first. Each file appears whole or not at all.
 *
 * @throws {TunesmithError} `io`; `invalid_options` for a shard size that is none; `unsupported` with an adapter on the model.
 */
export async function savePretrained(
  model: CausalLM,
  folder: string,
  options: SavePretrainedOptions = {},
): Promise<void> {
  const { dtype: wanted, maxShardSize, tokenizer, tokenizerFrom } = parseOptions(saveSchema, options, 'savePretrained')
  refuseAdapters(model, 'savePretrained')
  const dtype = wanted === 'auto' ? dtypeOf(model) : wanted
  await makeFolder(folder)
  const { origin } = model
  const checkpoint = origin && origin.leftOut.length > 0 ? await openCheckpoint(origin.folder) : undefined
  try {
    await writeShardedSafetensors(folder, fileTensors(model, dtype, checkpoint), {
      maxShardSize,
      metadata: { format: 'pt' },
    })
  } finally {
    await checkpoint?.close()
  }
  if (checkpoint) await copyFiles(origin!.folder, folder, PROCESSOR_FILES)
  const { quantization_config: _, torch_dtype: __, ...raw } = model.config.raw
  const write = (name: string, value: object) => writeFileAtomic(join(folder, name), `${stringifyJson(value, 2)}\n`)
  await write('config.json', { ...raw, dtype, torch_dtype: dtype })
  const ending = tokenizer ?? (tokenizerFrom === undefined ? undefined : await readableTokenizer(tokenizerFrom))
  await write('generation_config.json', generationConfig(model, ending))
  if (tokenizer) await tokenizer.save(folder)
  else if (tokenizerFrom) await copyFiles(tokenizerFrom, folder, TOKENIZER_FILES)
}

async function copyFiles(from: string, to: string, names: RegExp): Promise<void> {
  if (resolve(from) === resolve(to)) return
  for (const name of await readdir(from))
    if (names.test(name)) {
      await statRegularFile(join(from, name))
      await copyFile(join(from, name), join(to, name))
    }
}

/** The tokenizer of a folder; undefined where its files are of another kind, or refused: they are copied all the same. */
async function readableTokenizer(folder: string): Promise<Tokenizer | undefined> {
  try {
    return await Tokenizer.fromPretrained(folder, { unknownSpecialTokens: 'ignore' })
  } catch (error) {
    if (isTunesmithError(error)) return undefined
    throw error
  }
}

/** Files of the whole model would silently leave out what an adapter adds. */
export function refuseAdapters(model: CausalLM, where: string): void {
  const modules = [...model.linears.values(), model.embedTokens]
  const adapted = modules.find(({ override }) => override !== undefined)?.name
  if (adapted === undefined && !model.attachment?.virtualTokens) return
  throw unsupported(`An adapter sits on ${adapted ?? 'the model'}, and a file of the whole model cannot hold it`, {
    where,
    remedy: 'Merge the adapter first, or save the adapter itself',
  })
}
