import { invalidFile, type TunesmithError, unsupported } from '@tunesmith/core'
import { z } from 'zod'
import type { StepJson } from './tokenizer-json'

/** What is being loaded, and what was found in it that nothing reads. */
export interface Loading {
  where: string
  /** Places of keys that neither we nor Rust `tokenizers` know. */
  unknownKeys: string[]
}

export const pattern = z.union([z.strictObject({ String: z.string() }), z.strictObject({ Regex: z.string() })])
export const id = z.int().min(0).max(0x7fffffff)

/** One character, which may be two units. */
export const char = z.string().refine((text) => [...text].length === 1, 'expected one character')

/**
 * The settings of a step, checked.
 *
 * @param place the part of tokenizer.json that the step is in, for messages.
 * @throws {TunesmithError} `invalid_file` for a setting that is missing or of another type.
 */
export function readStep<Shape extends z.ZodRawShape>(
  step: StepJson,
  shape: Shape,
  place: string,
  loading: Loading,
): z.output<z.ZodObject<Shape>> {
  const result = z.object(shape).safeParse(step)
  for (const key of Object.keys(step))
    if (key !== 'type' && !(key in shape)) loading.unknownKeys.push(`${place}.${step.type}.${key}`)
  if (result.success) return result.data
  const lines = result.error.issues.map((issue) => `"${issue.path.map(String).join('.')}": ${issue.message}`)
  throw invalidFile(`${place} ${step.type}: ${lines.join('; ')}`, { where: loading.where })
}

/** The steps of a Sequence, which has its list under another name in each part of the file. */
export function readSequence(step: StepJson, list: string, place: string, loading: Loading): StepJson[] {
  const steps = readStep(step, { [list]: z.array(z.looseObject({ type: z.string() })) }, place, loading)
  return steps[list] as unknown as StepJson[]
}

/** What neither engine does exactly, refused by name. */
export const inexact = (what: string, where: string, remedy?: string): TunesmithError =>
  unsupported(`This tokenizer cannot be used exactly: ${what}`, { where, remedy })
