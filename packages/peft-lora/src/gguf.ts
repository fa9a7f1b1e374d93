import type * as tf from '@tensorflow/tfjs-core'
import { unsupported } from '@tunesmith/core'
import {
  type ExportedGgufLora,
  type ExportGgufLoraOptions,
  exportGgufLora,
  type LowRankUpdate,
} from '@tunesmith/models'
import type { Tokenizer } from '@tunesmith/tokenization'
import { type LoraConfig, rankAndScaling } from './adapters/lora/config'
import type { PeftModel } from './peft-model'

/** What llama.cpp's adapter files cannot hold, by the option that asks for it. */
function refusal({ config }: PeftModel): string | undefined {
  if (config.peftType !== 'LORA') return `an adapter of the type ${config.peftType}`
  const { useDora, bias, modulesToSave, trainableTokenIndices, initLoraWeights } = config as LoraConfig
  if (useDora) return 'DoRA (useDora)'
  if (bias !== 'none') return `trained biases (bias: "${bias}")`
  if (modulesToSave?.length) return `whole trained modules (modulesToSave: ${modulesToSave.join(', ')})`
  if (trainableTokenIndices !== undefined) return 'trained tokens (trainableTokenIndices)'
  // Their updates belong to a base that they have changed.
  if (typeof initLoraWeights === 'string' && /^(pissa|olora|loftq)/.test(initLoraWeights))
    return `an update of a changed base (initLoraWeights: "${initLoraWeights}")`
  return undefined
}

/**
 * Writes the active LoRA adapter as a file that llama.cpp (`--lora`) and Ollama (`ADAPTER`) put on the base model's GGUF.
 *
 * @param folder where `NAME.lora.gguf` and a Modelfile go.
 * @throws {TunesmithError} `unsupported`, naming what such a file cannot hold; merged into its base, any adapter can be exported.
 */
export async function exportPeftGguf(
  peft: PeftModel,
  tokenizer: Tokenizer,
  folder: string,
  options: ExportGgufLoraOptions,
): Promise<ExportedGgufLora> {
  const refuse = (what: string) =>
    unsupported(`llama.cpp's adapter files cannot hold ${what}`, {
      where: 'exportPeftGguf',
      remedy: 'Merge the adapter and export the whole model instead',
    })
  const what = refusal(peft)
  if (what !== undefined) throw refuse(what)
  const config = peft.config as LoraConfig
  const updates: LowRankUpdate[] = []
  for (const [module, { layer }] of peft.adapter().layers) {
    const variables = { ...layer.parameters, ...layer.frozen }
    const [a, b] = [variables['lora_A.weight'], variables['lora_B.weight']]
    if (!a || !b) throw refuse(`updates of the embeddings (${module.name})`)
    if (module === peft.model.lmHead && peft.model.config.tieWordEmbeddings)
      throw refuse(`an update of a head that is the embeddings too (${module.name})`)
    const { r, scaling } = rankAndScaling(module.name, config)
    const [valuesA, valuesB] = [await values(a), await values(b)]
    updates.push({ module: module.name, r, scaling, a: valuesA, b: valuesB })
  }
  return exportGgufLora(peft.model, updates, tokenizer, folder, options)
}

const values = async (tensor: tf.Tensor): Promise<Float32Array> => (await tensor.data()) as Float32Array
