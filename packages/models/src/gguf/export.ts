import { join } from 'node:path'
import { parseOptions, writeFileAtomic } from '@tunesmith/core'
import type { Tokenizer } from '@tunesmith/tokenization'
import { z } from 'zod'
import type { CausalLM } from '../causal-lm'
import type { GenerationDefaults } from '../generation/generation-config'
import { refuseAdapters } from '../save-pretrained'
import { cardMetadata, type GgufCard } from './card'
import { FILE_TYPES, GGUF_FILE_TYPES, isQuantized } from './mix'
import { exportNotes, layoutOf, modelMetadata, modelTensors } from './model'
import { modelfile } from './modelfile'
import { checkPreTokenizerName } from './pre-tokenizer'
import { tokenizerMetadata } from './tokenizer'
import { f32, type GgufValue, i32, string, u32 } from './values'
import { writeGguf } from './write'

const exportSchema = z.strictObject({
  /**
   * Storage of the matrices, by llama.cpp's names, which also chooses the types: a mix such as `q4_k_m` keeps more bits where they matter, and the
   * head has six at least. Vectors are always `f32`; rows that are no whole blocks get a type with smaller ones. Default `f16`.
   */
  type: z.enum(GGUF_FILE_TYPES).default('f16'),
  /** The model's name in the file. Default the folder's or Hub id's last part. */
  name: z.string().optional(),
  /**
   * llama.cpp's name of the way a byte-level tokenizer cuts text into words, such as `gpt-2`. Default: found from the
   * tokenizer; where that has no name, the export is refused, and one that is near can be given here.
   */
  preTokenizer: z.string().optional(),
  /** License, base models, tags and languages for the file. Default none. */
  card: z.custom<GgufCard>((value) => typeof value === 'object' && value !== null).optional(),
})
export type ExportGgufOptions = z.input<typeof exportSchema>

export interface ExportedGguf {
  /** The GGUF file. */
  file: string
  /** The Modelfile beside it, for `ollama create NAME -f Modelfile`. */
  modelfile: string
  /** What llama.cpp will do differently, a sentence each; usually none. */
  notes: string[]
}

/** A name as a file can have it. */
export const fileTitle = (name: string): string => name.replace(/[^\w.-]+/g, '-')

/** A number of parameters as llama.cpp writes it: `1.1B`, `88K`. */
export function sizeLabel(parameters: number): string {
  const [scale, suffix] =
    parameters > 1e12 ? [1e12, 'T'] : parameters > 1e9 ? [1e9, 'B'] : parameters > 1e6 ? [1e6, 'M'] : [1e3, 'K']
  const scaled = parameters / (scale as number)
  const digits = scaled < 0.5 ? 0 : String(Math.round(scaled)).length
  return `${scaled.toFixed(Math.max(0, 2 - digits))}${suffix}`
}

/** How the model samples, by the keys that llama.cpp has for it. */
function samplingMetadata({ doSample, temperature, topK, topP, minP, repetitionPenalty }: GenerationDefaults) {
  const values: Record<string, GgufValue | undefined> = {
    temp: doSample === false ? f32(0) : temperature === undefined ? undefined : f32(temperature),
    top_k: topK === undefined ? undefined : i32(topK),
    top_p: topP === undefined ? undefined : f32(topP),
    min_p: minP === undefined ? undefined : f32(minP),
    penalty_repeat: repetitionPenalty === undefined ? undefined : f32(repetitionPenalty),
  }
  return Object.entries(values).flatMap(([key, value]) => (value ? [[`general.sampling.${key}`, value] as const] : []))
}

/**
 * Writes a model with its tokenizer and chat template as one GGUF file for llama.cpp and Ollama, and a Modelfile beside
 * it. Weights that are stored otherwise, 4-bit ones too, are converted piece by piece. An adapter must be merged first.
 *
 * @param folder where `NAME.TYPE.gguf` and `Modelfile` go.
 * @throws {TunesmithError} `unsupported` for an architecture, a rotary scaling or a tokenizer that llama.cpp does not have.
 */
export async function exportGguf(
  model: CausalLM,
  tokenizer: Tokenizer,
  folder: string,
  options: ExportGgufOptions = {},
): Promise<ExportedGguf> {
  const { type, name, preTokenizer, card = {} } = parseOptions(exportSchema, options, 'exportGguf')
  if (preTokenizer !== undefined) checkPreTokenizerName(preTokenizer)
  refuseAdapters(model, 'exportGguf')
  const layout = layoutOf(model)
  const notes = exportNotes(model, layout)
  const title = name ?? model.nameOrPath?.split(/[\\/]/).filter(Boolean).at(-1) ?? 'model'
  const metadata = modelMetadata(model.config, layout)
  metadata.set('general.type', string('model'))
  metadata.set('general.name', string(title))
  metadata.set('general.file_type', u32(FILE_TYPES[type].number))
  metadata.set('general.size_label', string(sizeLabel(model.parameterCount())))
  for (const [key, value] of [...cardMetadata(card), ...samplingMetadata(model.generation)]) metadata.set(key, value)
  if (isQuantized(FILE_TYPES[type].most)) metadata.set('general.quantization_version', u32(2))
  for (const [key, value] of tokenizerMetadata(tokenizer, model.config.vocabSize, model.generation, preTokenizer))
    metadata.set(key, value)
  const file = `${fileTitle(title)}.${type}.gguf`
  await writeGguf(join(folder, file), metadata, modelTensors(model, layout, type))
  await writeFileAtomic(join(folder, 'Modelfile'), modelfile({ from: `./${file}` }, tokenizer, model.generation))
  return { file: join(folder, file), modelfile: join(folder, 'Modelfile'), notes }
}
