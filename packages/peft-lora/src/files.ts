import { access } from 'node:fs/promises'
import { join } from 'node:path'
import * as tf from '@tensorflow/tfjs-core'
import { TunesmithError, writeFileAtomic } from '@tunesmith/core'
import {
  bf16ToF32,
  f16ToF32,
  openSafetensors,
  readJsonFile,
  type TensorToWrite,
  writeSafetensors,
} from '@tunesmith/hub'
import type { CausalLM } from '@tunesmith/models'
import { loraConfigFromJson, loraConfigToJson } from './lora-config'
import { PeftModel } from './peft-model'
import { effectiveTargets } from './target-modules'

const CONFIG_FILE = 'adapter_config.json'
const WEIGHTS_FILE = 'adapter_model.safetensors'

/** Saves an adapter in PEFT's layout; `PeftModel.from_pretrained` in Python reads it. */
export async function savePeftModel(peft: PeftModel, folder: string): Promise<void> {
  const tensors: TensorToWrite[] = [...peft.parameters()].map(([name, variable]) => {
    const values = variable.dataSync() as Float32Array
    return {
      name,
      dtype: 'F32',
      shape: variable.shape,
      data: new Uint8Array(values.buffer, values.byteOffset, values.byteLength),
    }
  })
  await writeSafetensors(join(folder, WEIGHTS_FILE), tensors, { metadata: { format: 'pt' } })
  const config = loraConfigToJson(peft.config, peft.model.nameOrPath, effectiveTargets(peft.model, peft.config))
  await writeFileAtomic(join(folder, CONFIG_FILE), `${JSON.stringify(config, null, 2)}\n`)
}

/** The base model an adapter names, so that it can be loaded first. */
export async function adapterBaseModel(folder: string): Promise<string> {
  const file = join(folder, CONFIG_FILE)
  const { baseModel } = loraConfigFromJson(await readAdapterConfig(folder), file, () => {})
  if (baseModel === undefined)
    throw new TunesmithError('The adapter does not say which base model it belongs to', {
      code: 'invalid_file',
      where: file,
      remedy: 'Set base_model_name_or_path in it, or name the base model yourself',
    })
  return baseModel
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
export async function loadPeftModel(model: CausalLM, folder: string): Promise<PeftModel> {
  const { baseModel: _, ...config } = loraConfigFromJson(await readAdapterConfig(folder), join(folder, CONFIG_FILE))
  const file = join(folder, WEIGHTS_FILE)
  const weights = await openSafetensors(file)
  try {
    const peft = new PeftModel(model, config, 0)
    try {
      const parameters = peft.parameters()
      const missing = [...parameters.keys()].filter((name) => !weights.tensors.has(name))
      const extra = [...weights.tensors.keys()].filter((name) => !parameters.has(name))
      const misshapen = [...parameters].flatMap(([name, { shape }]) => {
        const found = weights.tensors.get(name)?.shape
        return found && found.join() !== shape.join() ? [`${name} is [${found}] instead of [${shape}]`] : []
      })
      const problems = [
        ...(missing.length ? [`missing: ${missing.join(', ')}`] : []),
        ...(extra.length ? [`not part of it: ${extra.join(', ')}`] : []),
        ...(misshapen.length ? [`wrong shape: ${misshapen.join(', ')}`] : []),
      ]
      if (problems.length > 0)
        throw new TunesmithError(`The adapter does not fit the model; ${problems.join('; ')}`, {
          code: 'incompatible',
          where: file,
          remedy: 'Load the base model that adapter_config.json names',
        })
      for (const [name, variable] of parameters) {
        const { dtype, shape } = weights.tensors.get(name)!
        const bytes = await weights.read(name)
        const values =
          dtype === 'BF16'
            ? bf16ToF32(bytes)
            : dtype === 'F16'
              ? f16ToF32(bytes)
              : new Float32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 4)
        tf.tidy(() => variable.assign(tf.tensor(values, [...shape])))
      }
      return peft
    } catch (error) {
      peft.unload()
      throw error
    }
  } finally {
    await weights.close()
  }
}
