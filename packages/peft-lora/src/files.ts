import { access } from 'node:fs/promises'
import { join } from 'node:path'
import * as tf from '@tensorflow/tfjs-core'
import { TunesmithError, writeFileAtomic } from '@tunesmith/core'
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
import { type Attached, fileTensors } from './attached'
import { baseModuleOf, loadBaseTensor } from './base-tensors'
import { configFromJson, configToJson } from './config-json'
import { PeftModel } from './peft-model'

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
  await writeSafetensors(join(folder, WEIGHTS_FILE), tensors, { metadata: { format: 'pt' } })
  const json = configToJson({ ...attached, config }, peft.model)
  await writeFileAtomic(join(folder, CONFIG_FILE), `${JSON.stringify(json, null, 2)}\n`)
}

/** The base model an adapter names, so that it can be loaded first. */
export async function adapterBaseModel(folder: string): Promise<string> {
  const { base_model_name_or_path: baseModel } = await readAdapterConfig(folder)
  if (typeof baseModel === 'string') return baseModel
  throw new TunesmithError('The adapter does not say which base model it belongs to', {
    code: 'invalid_file',
    where: join(folder, CONFIG_FILE),
    remedy: 'Set base_model_name_or_path in it, or name the base model yourself',
  })
}

async function readAdapterConfig(folder: string): Promise<Record<string, unknown>> {
  const file = join(folder, CONFIG_FILE)
  await access(file).catch(() => {
    throw new TunesmithError(`There is no ${CONFIG_FILE}`, {
      code: 'not_found',
      where: folder,
      remedy: 'Name the folder that an adapter was saved to',
    })
  })
  return (await readJsonFile(file)) as Record<string, unknown>
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
  const weights = await openSafetensors(file)
  try {
    peft.addConfigured(adapterName, config, { seed: 0, loading: true })
    try {
      await readTensors(peft.model, peft.adapter(adapterName), weights, file)
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

/** The tensors of an adapter's file; what is computed for it belongs to the surrounding `tf.tidy`. */
function storedTensors(attached: Attached): ReadonlyMap<string, tf.Tensor> {
  const variables = fileTensors(attached)
  return attached.shared?.file?.write(variables) ?? variables
}

async function readTensors(model: CausalLM, attached: Attached, weights: SafetensorsFile, file: string): Promise<void> {
  const rename = attached.adapter.renameKey ?? ((key: string) => key)
  const keys = new Map([...weights.tensors.keys()].map((key) => [rename(key), key]))
  const expected = new Map<string, readonly number[]>()
  tf.tidy(() => {
    for (const [name, { shape }] of storedTensors(attached)) expected.set(name, shape)
  })
  const own = new Set(expected.keys())
  for (const name of keys.keys()) {
    const base = expected.has(name) ? undefined : baseModuleOf(model, name)?.weight
    if (base) expected.set(name, [base.outFeatures, base.inFeatures])
  }
  const found = new Map([...keys].map(([name, key]) => [name, weights.tensors.get(key)!.shape]))
  const problems = tensorMismatches({ expected, found })
  if (problems.length > 0)
    throw new TunesmithError(`The adapter does not fit the model; ${problems.join('; ')}`, {
      code: 'incompatible',
      where: file,
      remedy: 'Load the base model that adapter_config.json names',
    })
  const values = new Map<string, Float32Array>()
  for (const name of expected.keys())
    if (own.has(name)) values.set(name, await readFloats(weights, keys.get(name)!))
    else await loadBaseTensor(model, weights, keys.get(name)!)
  tf.tidy(() => {
    const stored = new Map([...values].map(([name, data]) => [name, tf.tensor(data, [...expected.get(name)!])]))
    const tensors = attached.shared?.file?.read(stored) ?? stored
    for (const [name, variable] of fileTensors(attached)) variable.assign(tensors.get(name)!)
  })
}
