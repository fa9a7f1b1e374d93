import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { dirname, isAbsolute, resolve } from 'node:path'
import { BACKEND_NAMES } from '@tunesmith/backend'
import {
  failAs,
  invalidFile,
  invalidOptions,
  parseOptions,
  statRegularFile,
  type TunesmithError,
} from '@tunesmith/core'
import { formatOptionsSchema, hubId, loadOptionsSchema } from '@tunesmith/datasets'
import { ANSWER_DEFAULTS } from '@tunesmith/models'
import { loraConfigSchema, type PeftConfigOptions, peftConfig } from '@tunesmith/peft-lora'
import { dpoConfigSchema, ktoConfigSchema } from '@tunesmith/preference-trainer'
import { type QuantizationConfigOptions, quantizationConfig } from '@tunesmith/quantization'
import { earlyStoppingSchema, sftConfigSchema } from '@tunesmith/sft-trainer'
import { chatTemplates, type TemplateName } from '@tunesmith/tokenization'
import { type Document, parseDocument, visit } from 'yaml'
import { z } from 'zod'

export const TEMPLATE_NAMES = Object.keys(chatTemplates) as TemplateName[]

const { format, field, keyColumn, layout, delimiter, header } = loadOptionsSchema.shape
const { columns, preference, onError } = formatOptionsSchema.shape

/** A file, folder or pattern, or the Hub id of a dataset; as an object with what `loadDataset` takes besides. */
const rowsSchema = z.union([
  z.string(),
  z.strictObject({
    path: z.string(),
    /** Which split, when there are several. Of a Hub dataset the default is the key's name: `train`, `validation`, `test`. */
    split: z.string().optional(),
    /** Hub: the subset. */
    config: z.string().optional(),
    /** Hub: branch, tag or commit. */
    revision: z.string().optional(),
    /** The file format, where the name does not tell, and how the file is read: see `loadDataset`. */
    format,
    field,
    keyColumn: keyColumn.unwrap().optional(),
    layout,
    delimiter,
    header: header.unwrap().optional(),
  }),
])
export type RowsSource = z.output<typeof rowsSchema>

const partSize = z
  .number()
  .positive()
  .refine((size) => size < 1 || Number.isInteger(size), 'must be a share below 1 or a whole number of rows')

export const fineTuneConfigSchema = z.strictObject({
  /** Supervised (`sft`, the default), or on preferences: pairs (`dpo`), or answers labelled good and bad (`kto`). */
  method: z.literal('sft').default('sft'),
  /** A model folder or a Hub id; for preferences also an adapter, which goes on learning. */
  model: z.string(),
  /** Branch, tag or commit on the Hub. */
  revision: z.string().optional(),
  /** Quantizes the linear layers while they are read (QLoRA): the twin of BitsAndBytesConfig. */
  quantization: z.custom<QuantizationConfigOptions>((value) => typeof value === 'object' && value !== null).optional(),
  /** Files of rows; relative paths start at the config file. */
  dataset: z.strictObject({
    train: rowsSchema,
    /** Its loss is measured while training. */
    validation: rowsSchema.optional(),
    /** Held out: the base and the tuned model answer it and are compared. */
    test: rowsSchema.optional(),
    /** In the place of `validation` and `test`: so many of the training rows, or such a share, drawn by `splitSeed`. */
    validationSize: partSize.optional(),
    testSize: partSize.optional(),
    /** Default 0. */
    splitSeed: z.number().int().default(0),
    /** Part to column where the names are not known: `{ prompt: Query, completion: Reply }`. */
    columns,
    /** Of rows with a `chosen` and a `rejected` answer, the side to learn. Without it they are refused. */
    preference,
    /** A row that cannot be read or lacks a part: stop (`error`, the default), or leave it out and say so. */
    onError,
  }),
  /** PEFT's LoraConfig. Without it and `peft`, the weights themselves are trained. */
  lora: loraConfigSchema.optional(),
  /** Any kind of adapter, by `peftType`, with its options. */
  peft: z.looseObject({ peftType: z.string() }).optional(),
  training: sftConfigSchema.omit({ outputDir: true }).prefault({}),
  /** A built-in chat template in the place of the tokenizer's own, for a base model that has none. */
  chatTemplate: z.enum(TEMPLATE_NAMES).optional(),
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
  /** Replace what an earlier run left in `outputDir`. Default false. */
  overwrite: z.boolean().default(false),
})

const withMethod = <Method extends string, Training extends z.ZodType>(method: Method, training: Training) =>
  fineTuneConfigSchema.extend({ method: z.literal(method), training })

/** The schema of each method: what `training` takes depends on it. */
const METHODS = {
  sft: fineTuneConfigSchema,
  dpo: withMethod('dpo', dpoConfigSchema.omit({ outputDir: true }).prefault({})),
  kto: withMethod('kto', ktoConfigSchema.omit({ outputDir: true }).prefault({})),
}
export type FineTuneConfig = z.output<(typeof METHODS)[keyof typeof METHODS]>

/** @throws {TunesmithError} `invalid_options` naming each key. */
function parseConfig(value: unknown, path: string): FineTuneConfig {
  const method = (value as { method?: unknown } | null)?.method ?? 'sft'
  if (typeof method === 'string' && Object.hasOwn(METHODS, method))
    return parseOptions<z.ZodType<FineTuneConfig>>(METHODS[method as keyof typeof METHODS], value as never, path)
  throw invalidOptions(`There is no method ${JSON.stringify(method)}`, {
    where: `${path}, method`,
    remedy: `Choose one of ${Object.keys(METHODS).join(', ')}`,
  })
}

/** Whether a name can only mean a dataset on the Hub: `owner/name`, when there is no such file, or `hf://owner/name`. */
export const isHubDataset = (path: string): boolean => hubId(path) !== undefined && !existsSync(path)

/** What lies beside the config goes before a Hub id of the same form. */
const rowsPath = (path: string, inside: (file: string) => string) =>
  !existsSync(inside(path)) && isHubDataset(path) ? path : inside(path)

/** What the command line says of a config's keys. */
export interface ConfigChanges {
  overwrite?: boolean
  training?: { resumeFromCheckpoint?: boolean | string }
  dataset?: { testSize?: number; validationSize?: number }
}

/** The changes go before the file; what is no mapping stays for the schema to refuse. */
function merged(value: unknown, { overwrite, ...sections }: ConfigChanges): unknown {
  const isMapping = (part: unknown): part is Record<string, unknown> =>
    typeof part === 'object' && part !== null && !Array.isArray(part)
  if (!isMapping(value)) return value
  const all = { ...value, ...(overwrite !== undefined && { overwrite }) } as Record<string, unknown>
  for (const [name, change] of Object.entries(sections))
    if (Object.keys(change).length > 0 && (all[name] == null || isMapping(all[name])))
      all[name] = { ...(all[name] as object | undefined), ...change }
  return all
}

/** Pairs, lists and mappings around a value; a mapping that is a key takes time that grows without bound with its depth. */
const MOST_AROUND = 100

function tooDeep(where: string, cause?: unknown): TunesmithError {
  return invalidFile('Lists and mappings are nested too deep', {
    where,
    remedy: 'A config has a few levels; check its brackets and indentation',
    cause,
  })
}

/** The values of a document. @throws {TunesmithError} `invalid_file` for aliases that multiply without bound. */
function yamlValue(document: Document.Parsed, path: string): unknown {
  visit(document, (_, __, around) => {
    if (around.length > MOST_AROUND) throw tooDeep(path)
  })
  try {
    return document.toJS({ maxAliasCount: 100 }) ?? {}
  } catch (cause) {
    throw invalidFile(`Not usable as YAML: ${(cause as Error).message}`, {
      where: path,
      remedy: 'Write the values out in the place of aliases',
      cause,
    })
  }
}

/**
 * Reads a YAML or JSON config; its relative paths are made absolute.
 *
 * @throws {TunesmithError} `not_found`, `invalid_file` with line and column, or `invalid_options` naming each key.
 */
export async function readFineTuneConfig(path: string, changes: ConfigChanges = {}): Promise<FineTuneConfig> {
  await statRegularFile(path)
  const text = await readFile(path, 'utf8').catch(failAs(path, 'read'))
  const document = parseDocument(text)
  const [error] = document.errors
  if (error) {
    const at = error.linePos?.[0]
    const where = at ? `${path}:${at.line}:${at.col}` : path
    if (error.code === 'RESOURCE_EXHAUSTION') throw tooDeep(where, error)
    throw invalidFile(`Not valid YAML: ${error.message.split('\n')[0]}`, { where, cause: error })
  }
  const config = parseConfig(merged(yamlValue(document, path), changes), path)
  if (config.lora && config.peft)
    throw invalidOptions('Both "lora" and "peft" are given', { where: path, remedy: 'Keep one of them' })
  if (config.peft) peftConfig(config.peft as PeftConfigOptions, path)
  if (config.quantization) quantizationConfig(config.quantization)
  const base = dirname(resolve(path))
  const inside = (file: string) => (isAbsolute(file) ? file : resolve(base, file))
  const { train, validation, test, validationSize, testSize, ...rest } = config.dataset
  for (const [file, size, name] of [
    [validation, validationSize, 'validation'],
    [test, testSize, 'test'],
  ] as const)
    if (file !== undefined && size !== undefined)
      throw invalidOptions(`Both "dataset.${name}" and "dataset.${name}Size" are given`, {
        where: path,
        remedy: 'Keep one of them',
      })
  const rows = (source: RowsSource): RowsSource =>
    typeof source === 'string' ? rowsPath(source, inside) : { ...source, path: rowsPath(source.path, inside) }
  const localModel = inside(config.model)
  return {
    ...config,
    // A folder beside the config goes before a Hub id of the same form.
    model: config.model.startsWith('.') || existsSync(localModel) ? localModel : config.model,
    dataset: {
      ...rest,
      train: rows(train),
      ...(validation && { validation: rows(validation) }),
      ...(test && { test: rows(test) }),
      ...(validationSize !== undefined && { validationSize }),
      ...(testSize !== undefined && { testSize }),
    },
    training: {
      ...config.training,
      resumeFromCheckpoint:
        typeof config.training.resumeFromCheckpoint === 'string'
          ? inside(config.training.resumeFromCheckpoint)
          : config.training.resumeFromCheckpoint,
    },
    outputDir: inside(config.outputDir),
  } as FineTuneConfig
}
