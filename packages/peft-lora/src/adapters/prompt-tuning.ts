import { existsSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import * as tf from '@tensorflow/tfjs-core'
import { invalidOptions, needRegularFile, notFound, parseJsonObject, type Random } from '@tunesmith/core'
import type { CausalLM } from '@tunesmith/models'
import { Tokenizer } from '@tunesmith/tokenization'
import { z } from 'zod'
import type { Adapter, SharedParts } from '../adapter'
import { modulesToSaveOption } from '../trained-copies'
import { claimElements, variableOf } from '../variable'

export const promptTuningConfigSchema = z.strictObject({
  peftType: z.literal('PROMPT_TUNING'),
  /** How many trained embeddings stand before every sequence. */
  numVirtualTokens: z.number().int().positive(),
  /**
   * What they begin as: `RANDOM` normal deviates, `SAMPLE_VOCAB` embeddings of random tokens, `TEXT` embeddings of
   * `promptTuningInitText`, cut or repeated to fit. Default `RANDOM`.
   */
  promptTuningInit: z.enum(['RANDOM', 'SAMPLE_VOCAB', 'TEXT']).default('RANDOM'),
  promptTuningInitText: z.string().optional(),
  /** Folder of the tokenizer that splits the text. Default: the folder the model was loaded from. */
  tokenizerNameOrPath: z.string().optional(),
  modulesToSave: modulesToSaveOption.modulesToSave,
})
/** What a caller may write. */
export type PromptTuningConfigOptions = z.input<typeof promptTuningConfigSchema>
/** With defaults filled in. */
export type PromptTuningConfig = z.output<typeof promptTuningConfigSchema>

const where = 'PROMPT_TUNING config'

function initialIds(config: PromptTuningConfig, model: CausalLM, random: Random): number[] {
  const { numVirtualTokens: length } = config
  if (config.promptTuningInit === 'SAMPLE_VOCAB')
    return Array.from({ length }, () => random.int(model.embedTokens.weight.outFeatures))
  const ids = textIds(config, model)
  return Array.from({ length }, (_, i) => ids[i % ids.length]!)
}

function textIds(
  { promptTuningInitText, tokenizerNameOrPath }: PromptTuningConfig,
  model: CausalLM,
): ArrayLike<number> {
  if (promptTuningInitText === undefined)
    throw invalidOptions('promptTuningInit is TEXT, but there is no promptTuningInitText', { where })
  const folder = tokenizerNameOrPath ?? model.nameOrPath ?? ''
  const parsed = (name: string) => {
    const path = join(folder, name)
    needRegularFile(statSync(path), path)
    return parseJsonObject(readFileSync(path, 'utf8'), path)
  }
  if (!existsSync(join(folder, 'tokenizer.json')))
    throw notFound(`There is no tokenizer.json in "${folder}"`, {
      where: `${where}: tokenizerNameOrPath`,
      remedy: "Name a folder on this machine that holds the model's tokenizer",
    })
  const config = existsSync(join(folder, 'tokenizer_config.json')) ? parsed('tokenizer_config.json') : {}
  const tokenizerJson = parsed('tokenizer.json')
  const { ids } = new Tokenizer({ tokenizerJson, config, where: folder, fileLimits: false }).encode(
    promptTuningInitText,
  )
  if (ids.length > 0) return ids
  throw invalidOptions('promptTuningInitText has no tokens', { where })
}

/** Prompt tuning (Lester et al. 2021): trained embeddings before every sequence. */
export const promptTuning: Adapter<PromptTuningConfig, SharedParts> = {
  peftType: 'PROMPT_TUNING',
  schema: promptTuningConfigSchema,
  shared(model, { config, random, loading }) {
    const { numVirtualTokens: count, promptTuningInit } = config
    const { hiddenSize } = model.config
    claimElements(count * hiddenSize)
    const prompt =
      loading || promptTuningInit === 'RANDOM'
        ? variableOf([count, hiddenSize], loading ? () => 0 : () => random.normal())
        : tf.tidy(() => tf.variable(model.embed(tf.tensor1d(initialIds(config, model, random), 'int32'))))
    return { parameters: { prompt_embeddings: prompt }, virtualTokens: { count, embeddings: () => prompt } }
  },
  json: {
    write: ({ promptTuningInit, tokenizerNameOrPath }, model) => ({
      num_attention_heads: model.config.numAttentionHeads,
      num_layers: model.config.numHiddenLayers,
      num_transformer_submodules: 1,
      token_dim: model.config.hiddenSize,
      tokenizer_kwargs: null,
      // PEFT refuses the configuration of a text without a tokenizer.
      tokenizer_name_or_path: tokenizerNameOrPath ?? (promptTuningInit === 'TEXT' ? (model.nameOrPath ?? null) : null),
    }),
    ignored: ['num_attention_heads', 'num_layers', 'num_transformer_submodules', 'token_dim', 'tokenizer_kwargs'],
  },
}
