import { copyFile, mkdir, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import type * as tf from '@tensorflow/tfjs-core'
import { dequantize, type WeightMatrix } from '@tunesmith/backend'
import { parseOptions, writeFileAtomic } from '@tunesmith/core'
import { f32ToBf16, f32ToF16, type TensorToWrite, writeShardedSafetensors } from '@tunesmith/hub'
import { z } from 'zod'
import type { CausalLM } from './causal-lm'

const saveSchema = z.strictObject({
  /** Dtype of the matrices and vectors in the files. Default `float32`. */
  dtype: z.enum(['float32', 'bfloat16', 'float16']).default('float32'),
  /** Largest file, like `5GB` or `500MB`. Default `5GB`. */
  maxShardSize: z.string().optional(),
  /** A folder whose tokenizer files are copied beside the weights. */
  tokenizerFrom: z.string().optional(),
})
export type SaveModelOptions = z.input<typeof saveSchema>

const DTYPES = { float32: 'F32', bfloat16: 'BF16', float16: 'F16' } as const

function encode(values: Float32Array, dtype: keyof typeof DTYPES): Uint8Array {
  const typed = dtype === 'bfloat16' ? f32ToBf16(values) : dtype === 'float16' ? f32ToF16(values) : values
  return new Uint8Array(typed.buffer, typed.byteOffset, typed.byteLength)
}

function matrixValues(weight: WeightMatrix): Float32Array {
  const rows = dequantize(weight)
  const values = rows.dataSync() as Float32Array
  rows.dispose()
  return values
}

/** Every tensor of a model under its checkpoint name; the data is made when it is written. A tied head is left out. */
export function* modelTensors(model: CausalLM, dtype: keyof typeof DTYPES): Generator<TensorToWrite> {
  const matrix = (name: string, weight: WeightMatrix): TensorToWrite => ({
    name,
    dtype: DTYPES[dtype],
    shape: [weight.outFeatures, weight.inFeatures],
    data: async () => encode(matrixValues(weight), dtype),
  })
  const vector = (name: string, tensor: tf.Tensor1D): TensorToWrite => ({
    name,
    dtype: DTYPES[dtype],
    shape: [tensor.size],
    data: async () => encode(tensor.dataSync() as Float32Array, dtype),
  })
  yield matrix(`${model.embedTokens.name}.weight`, model.embedTokens.weight)
  for (const module of model.linears.values()) {
    if (module === model.lmHead && model.config.tieWordEmbeddings) continue
    yield matrix(`${module.name}.weight`, module.weight)
    if (module.bias) yield vector(`${module.name}.bias`, module.bias)
  }
  for (const module of model.norms.values()) yield vector(`${module.name}.weight`, module.weight)
}

const TOKENIZER_FILES =
  /^(tokenizer.*\.(json|model)|special_tokens_map\.json|added_tokens\.json|chat_template\.(jinja|json)|vocab\.json|merges\.txt)$/

/**
 * Saves a model in Hugging Face layout: config.json, safetensors (sharded when large), generation_config.json.
 * transformers, vLLM and {@link loadModel} read it.
 */
export async function saveModel(model: CausalLM, folder: string, options: SaveModelOptions = {}): Promise<void> {
  const { dtype, maxShardSize, tokenizerFrom } = parseOptions(saveSchema, options, 'saveModel')
  await mkdir(folder, { recursive: true })
  await writeShardedSafetensors(folder, modelTensors(model, dtype), { maxShardSize, metadata: { format: 'pt' } })
  const { quantization_config: _, torch_dtype: __, ...raw } = model.config.raw
  await writeFileAtomic(
    join(folder, 'config.json'),
    `${JSON.stringify({ ...raw, dtype, torch_dtype: dtype }, null, 2)}\n`,
  )
  const { bosTokenId, eosTokenIds, padTokenId } = model.config
  const generation = {
    ...(bosTokenId !== undefined && { bos_token_id: bosTokenId }),
    ...(eosTokenIds.length > 0 && { eos_token_id: eosTokenIds.length === 1 ? eosTokenIds[0] : eosTokenIds }),
    ...(padTokenId !== undefined && { pad_token_id: padTokenId }),
  }
  await writeFileAtomic(join(folder, 'generation_config.json'), `${JSON.stringify(generation, null, 2)}\n`)
  if (tokenizerFrom)
    for (const name of await readdir(tokenizerFrom))
      if (TOKENIZER_FILES.test(name)) await copyFile(join(tokenizerFrom, name), join(folder, name))
}
