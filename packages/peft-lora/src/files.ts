import { access, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import * as tf from '@tensorflow/tfjs-core'
import { incompatible, invalidFile, isTunesmithError, notFound, writeFileAtomic } from '@tunesmith/core'
import {
  openSafetensors,
  readFloats,
  readJsonFile,
  type SafetensorsFile,
  type TensorToWrite,
  tensorBytes,
  tensorMismatches,
  writeSafetensors,
} from '@tunesmith/hub'
import type { CausalLM } from '@tunesmith/models'
import { plainLora } from './adapters/lora/plain-lora'
import { type Attached, derivedTensors, fileTensors } from './attached'
import { baseModuleOf, loadBaseTensor, resizedTensors } from './base-tensors'
import { configFromJson, configToJson } from './config-json'
import { relativeDifference } from './merge'
import { PeftModel } from './peft-model'
import { withElements } from './variable'

const CONFIG_FILE = 'adapter_config.json'
const WEIGHTS_FILE = 'adapter_model.safetensors'

export interface SavePeftModelOptions {
  /** Which adapter. Default: the first active one. */
  adapterName?: string
  /**
   * Saves what PiSSA or OLoRA learned as a plain LoRA of twice the rank, which fits the original base model. Without it the
   * file says how the adapter began, and loading it prepares the base model in the same way. Default false.
   */
  asPlainLora?: boolean
}

/** Saves an adapter in PEFT's layout; `PeftModel.from_pretrained` in Python reads it. */
export async function savePeftModel(
  peft: PeftModel,
  folder: string,
  { adapterName, asPlainLora = false }: SavePeftModelOptions = {},
): Promise<void> {
  const attached = peft.adapter(adapterName)
  let { config } = attached
  const tensors = tf.tidy(() => {
    const plain = asPlainLora ? plainLora(attached) : undefined
    config = plain?.config ?? config
    return [...(plain?.tensors ?? storedTensors(attached))].map(([name, tensor]) => {
      const data = tensorBytes(tensor.dataSync<'float32'>(), 'F32')
      return { name, dtype: 'F32', shape: tensor.shape, data }
    }) as never
  }) as unknown as TensorToWrite[]
  const names = new Set(tensors.map(({ name }) => name))
  const grown = resizedTensors(peft.model).filter(({ name }) => !names.has(name))
  await writeSafetensors(join(folder, WEIGHTS_FILE), [...tensors, ...grown], { metadata: { format: 'pt' } })
  const json = configToJson({ ...attached, config }, peft.model)
  await writeFileAtomic(join(folder, CONFIG_FILE), `${JSON.stringify(json, null, 2)}\n`)
}

/** The base model an adapter names, so that it can be loaded first. */
export async function adapterBaseModel(folder: string): Promise<string> {
  const json = await readAdapterConfig(folder)
  const baseModel = (json as { base_model_name_or_path?: unknown } | null)?.base_model_name_or_path
  if (typeof baseModel === 'string') return baseModel
  throw invalidFile('The adapter does not say which base model it belongs to', {
    where: join(folder, CONFIG_FILE),
    remedy: 'Set base_model_name_or_path in it, or name the base model yourself',
  })
}

async function readAdapterConfig(folder: string): Promise<unknown> {
  const file = join(folder, CONFIG_FILE)
  await access(file).catch(() => {
    throw notFound(`There is no ${CONFIG_FILE}`, {
      where: folder,
      remedy: 'Name the folder that an adapter was saved to',
    })
  })
  return readJsonFile(file)
}

/**
 * Loads an adapter that PEFT or {@link savePeftModel} saved onto its base model.
 *
 * @throws {TunesmithError} `incompatible` listing the tensors that are missing, left over or of another shape: the model
 *   is then without adapter, never silently the base model's output with one.
 */
export async function loadPeftModel(
  model: CausalLM,
  folder: string,
  { adapterName = 'default' }: { adapterName?: string } = {},
): Promise<PeftModel> {
  const peft = new PeftModel(model)
  try {
    return await loadAdapter(peft, folder, adapterName)
  } catch (error) {
    peft.unload()
    throw error
  }
}

/** Loads a saved adapter beside those a model has already. It becomes active when it is the first. */
export async function loadAdapter(peft: PeftModel, folder: string, adapterName: string): Promise<PeftModel> {
  const { config } = configFromJson(await readAdapterConfig(folder), join(folder, CONFIG_FILE))
  const file = join(folder, WEIGHTS_FILE)
  const weights = await openSafetensors(file).catch(async (error: unknown) => {
    if (!isTunesmithError(error) || error.code !== 'not_found') throw error
    throw notFound(`There is no ${WEIGHTS_FILE}`, { where: folder, remedy: await otherWeights(folder), cause: error })
  })
  try {
    const size = [...weights.tensors.values()].reduce((sum, { shape }) => sum + shape.reduce((n, d) => n * d, 1), 0)
    const add = () => peft.addConfigured(adapterName, config, { seed: 0, loading: true })
    withElements(SPARE_FACTOR * size + SPARE_ELEMENTS, add)
    try {
      await readTensors(peft, peft.adapter(adapterName), weights, file)
    } catch (error) {
      peft.deleteAdapter(adapterName)
      throw error
    }
    peft.baseChanged()
    return peft
  } finally {
    await weights.close()
  }
}

/** An adapter in memory may be larger than its file by so much: AdaLoRA's file leaves out the ranks that were given up. */
const SPARE_FACTOR = 16
const SPARE_ELEMENTS = 2 ** 20

/** What to do about weights that are not where PEFT's are. */
async function otherWeights(folder: string): Promise<string> {
  const names = await readdir(folder)
  if (names.includes('adapter_model.bin'))
    return 'The folder has adapter_model.bin, which is Python code in part and is not read. Load it in PEFT and save it again: PeftModel.from_pretrained(base, folder).save_pretrained(folder)'
  if (names.includes('adapters.safetensors'))
    return 'The folder has adapters.safetensors, as MLX (mlx-lm) writes it. Fuse the adapter with `mlx_lm.fuse` and load the fused model'
  return 'Name the folder that an adapter was saved to'
}

/** The tensors of an adapter's file; what is computed for it belongs to the surrounding `tf.tidy`. */
function storedTensors(attached: Attached): ReadonlyMap<string, tf.Tensor> {
  const variables = fileTensors(attached)
  const stored = new Map<string, tf.Tensor>(attached.shared?.file?.write(variables) ?? variables)
  for (const [key, tensor] of derivedTensors(attached)) stored.set(key, tensor())
  return stored
}

/** What to do where the file holds embeddings of more tokens than the model has. */
function resizeRemedy(model: CausalLM, found: ReadonlyMap<string, readonly number[]>): string | undefined {
  const rows = [...found].find(
    ([name, [size = 0]]) => baseModuleOf(model, name) && size > model.config.vocabSize,
  )?.[1][0]
  return rows === undefined ? undefined : `Call resizeTokenEmbeddings(model, ${rows}) first, or ${LOAD_BASE}`
}
const LOAD_BASE = 'load the base model that adapter_config.json names'

/** A difference below bfloat16's rounding is the file's dtype. */
const SAME = 1e-2

async function readTensors(peft: PeftModel, attached: Attached, weights: SafetensorsFile, file: string): Promise<void> {
  const rename = attached.adapter.renameKey ?? ((key: string) => key)
  const keys = new Map([...weights.tensors.keys()].map((key) => [rename(key), key]))
  const expected = new Map<string, readonly number[]>()
  tf.tidy(() => {
    for (const [name, { shape }] of storedTensors(attached)) expected.set(name, shape)
  })
  const derived = new Set(derivedTensors(attached).keys())
  // A file without them is one of this package's from before it wrote them.
  for (const key of derived) if (!keys.has(key)) expected.delete(key)
  const own = new Set(expected.keys())
  for (const name of keys.keys()) {
    const base = expected.has(name) ? undefined : baseModuleOf(peft.model, name)?.weight
    if (base) expected.set(name, [base.outFeatures, base.inFeatures])
  }
  const found = new Map([...keys].map(([name, key]) => [name, weights.tensors.get(key)!.shape]))
  const problems = tensorMismatches({ expected, found })
  if (problems.length > 0)
    throw incompatible(`The adapter does not fit the model; ${problems.join('; ')}`, {
      where: file,
      remedy: resizeRemedy(peft.model, found) ?? 'Load the base model that adapter_config.json names',
    })
  const values = new Map<string, Float32Array>()
  for (const name of expected.keys())
    if (own.has(name)) values.set(name, await readFloats(weights, keys.get(name)!))
    else await loadBaseTensor(peft, weights, keys.get(name)!)
  tf.tidy(() => {
    const stored = new Map([...values].map(([name, data]) => [name, tf.tensor(data, [...expected.get(name)!])]))
    const tensors = attached.shared?.file?.read(stored) ?? stored
    for (const [name, variable] of fileTensors(attached)) variable.assign(tensors.get(name)!)
    for (const [name, tensor] of derivedTensors(attached)) {
      const other = tensors.get(name)
      if (other && relativeDifference(tensor(), other) > SAME)
        throw incompatible(`The tensor ${name} is tied to another and has other values`, {
          where: file,
          remedy: 'Set "ensure_weight_tying" to false in adapter_config.json',
        })
    }
  })
}
