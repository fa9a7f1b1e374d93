import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { dirname, isAbsolute, resolve } from 'node:path'
import { BACKEND_NAMES } from '@tunesmith/backend'
import { invalidFile, invalidOptions, notFound, parseOptions } from '@tunesmith/core'
import { ANSWER_DEFAULTS } from '@tunesmith/models'
import { loraConfigSchema, type PeftConfigOptions, peftConfig } from '@tunesmith/peft-lora'
import { type QuantizationConfigOptions, quantizationConfig } from '@tunesmith/quantization'
import { earlyStoppingSchema, sftConfigSchema } from '@tunesmith/sft-trainer'
import { parseDocument } from 'yaml'
import { z } from 'zod'

export const fineTuneConfigSchema = z.strictObject({
  /** A model folder or a Hub id. */
  model: z.string(),
  /** Branch, tag or commit on the Hub. */
  revision: z.string().optional(),
  /** Quantizes the linear layers while they are read (QLoRA): the twin of BitsAndBytesConfig. */
  quantization: z.custom<QuantizationConfigOptions>((value) => typeof value === 'object' && value !== null).optional(),
  /** Files of rows; relative paths start at the config file. */
  dataset: z.strictObject({
    train: z.string(),
    /** Its loss is measured while training. */
    validation: z.string().optional(),
    /** Held out: the base and the tuned model answer it and are compared. */
    test: z.string().optional(),
  }),
  /** PEFT's LoraConfig. Without it and `peft`, the weights themselves are trained. */
  lora: loraConfigSchema.optional(),
  /** Any kind of adapter, by `peftType`, with its options. */
  peft: z.looseObject({ peftType: z.string() }).optional(),
  training: sftConfigSchema.omit({ outputDir: true }),
  /** End training when `metricForBestModel` no longer improves. */
  earlyStopping: earlyStoppingSchema.optional(),
  /** How the test set is answered. */
  evaluation: z
    .strictObject({
      maxNewTokens: z.number().int().positive().default(ANSWER_DEFAULTS.maxNewTokens),
      /** Prompts answered together. Default 32. */
      batchSize: z.number().int().positive().default(ANSWER_DEFAULTS.batchSize),
      /** Only the first rows. Default all. */
      maxRows: z.number().int().positive().optional(),
      /** Answers printed side by side. Default 3. */
      show: z.number().int().nonnegative().default(3),
    })
    .prefault({}),
  backend: z.enum(BACKEND_NAMES).optional(),
  /** Gets `adapter/`, `metrics.json`, `loss.svg`, `report.html`, `logs.jsonl` and the checkpoints. */
  outputDir: z.string(),
})
export type FineTuneConfig = z.output<typeof fineTuneConfigSchema>

/**
 * Reads a YAML or JSON config; its relative paths are made absolute.
 *
 * @throws {TunesmithError} `not_found`, `invalid_file` with line and column, or `invalid_options` naming each key.
 */
export async function readFineTuneConfig(path: string): Promise<FineTuneConfig> {
  const text = await readFile(path, 'utf8').catch((cause: unknown) => {
    throw notFound('The config file cannot be read', { where: path, remedy: 'Check the path', cause })
  })
  const document = parseDocument(text)
  const [error] = document.errors
  if (error) {
    const at = error.linePos?.[0]
    throw invalidFile(`Not valid YAML: ${error.message.split('\n')[0]}`, {
      where: at ? `${path}:${at.line}:${at.col}` : path,
      cause: error,
    })
  }
  const config = parseOptions(fineTuneConfigSchema, document.toJS() ?? {}, path)
  if (config.lora && config.peft)
    throw invalidOptions('Both "lora" and "peft" are given', { where: path, remedy: 'Keep one of them' })
  if (config.peft) peftConfig(config.peft as PeftConfigOptions, path)
  if (config.quantization) quantizationConfig(config.quantization)
  const base = dirname(resolve(path))
  const inside = (file: string) => (isAbsolute(file) ? file : resolve(base, file))
  const { train, validation, test } = config.dataset
  const localModel = inside(config.model)
  return {
    ...config,
    // A folder beside the config goes before a Hub id of the same form.
    model: config.model.startsWith('.') || existsSync(localModel) ? localModel : config.model,
    dataset: {
      train: inside(train),
      ...(validation && { validation: inside(validation) }),
      ...(test && { test: inside(test) }),
    },
    training: {
      ...config.training,
      resumeFromCheckpoint:
        typeof config.training.resumeFromCheckpoint === 'string'
          ? inside(config.training.resumeFromCheckpoint)
          : config.training.resumeFromCheckpoint,
    },
    outputDir: inside(config.outputDir),
  }
}
