import { camelCase, parseOptions, renameKeys } from '@tunesmith/core'
import type { z } from 'zod'

/**
 * Checks a dictionary of TrainingArguments, `lr_scheduler_kwargs` or `optim_args`: keys in camelCase, or as Python has them.
 *
 * @throws {TunesmithError} `invalid_options`, naming each offending key.
 */
export function parseKeywords<Schema extends z.ZodType>(
  schema: Schema,
  given: Record<string, unknown>,
  where: string,
): z.output<Schema> {
  return parseOptions(schema, renameKeys(given, camelCase), where)
}
