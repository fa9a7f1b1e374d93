import * as tf from '@tensorflow/tfjs-core'
import { dequantize, disposeWeight, withoutRecording } from '@tunesmith/backend'
import { readFloats, type SafetensorsFile, type TensorToWrite, tensorBytes } from '@tunesmith/hub'
import type { CausalLM } from '@tunesmith/models'
import { relativeDifference } from './merge'
import type { PeftModel } from './peft-model'
import { storeWeight } from './store-weight'

const KEY = /^base_model\.model\.(.*(?:embed_tokens|lm_head))(?:\.base_layer)?\.weight$/

/** The module whose own weight a tensor is: PEFT adds those of the embeddings and the head when they are adapted. */
export function baseModuleOf(model: CausalLM, key: string) {
  const name = KEY.exec(key)?.[1]
  return [model.embedTokens, model.lmHead].find((module) => module.name === name)
}

/** The embeddings and the head of a model that got rows for new tokens: PEFT saves them with the adapter. */
export function resizedTensors(model: CausalLM): TensorToWrite[] {
  if (!model.resized) return []
  return [model.embedTokens, model.lmHead].map(({ name, override, weight }) => ({
    name: `base_model.model.${name}${override ? '.base_layer' : ''}.weight`,
    dtype: 'F32',
    shape: [weight.outFeatures, weight.inFeatures],
    data: async () => tf.tidy(() => tensorBytes(dequantize(weight).dataSync<'float32'>(), 'F32')),
  }))
}

/** Makes a base weight the one of the file, as PEFT does, unless it is that already. */
export async function loadBaseTensor(peft: PeftModel, weights: SafetensorsFile, key: string): Promise<void> {
  const { model } = peft
  const module = baseModuleOf(model, key)!
  const values = await readFloats(weights, key)
  const change = () =>
    tf.tidy(() => {
      const { weight } = module
      const stored = tf.tensor2d(values, [weight.outFeatures, weight.inFeatures])
      // A difference below bfloat16's rounding is the file's dtype, not another weight.
      if (relativeDifference(stored, dequantize(weight)) < 1e-3) return
      const replacement = storeWeight(stored, weight)
      for (const other of [model.embedTokens, model.lmHead]) if (other.weight === weight) other.weight = replacement
      disposeWeight(weight)
    })
  // Copies that another adapter trained are not the base model's.
  peft.changeBase(() => withoutRecording(change))
}
