import { z } from 'zod'
import { readOptions } from '../files/reader'

export const loadOptionsSchema = z.strictObject({
  /** Which split to load when there are several: `train`, `test`, ... */
  split: z.string().min(1).optional(),
  /** Rows are read while they are used, never all in memory. Default false. */
  streaming: z.boolean().default(false),
  /** Every row is parsed by this zod schema, and has its output type from then on. */
  schema: z.custom<z.ZodType>((value) => typeof (value as z.ZodType)?.safeParse === 'function').optional(),
  /** A row that cannot be read or does not fit the schema: stop (`error`, the default), or leave it out and note it. */
  onError: z.enum(['error', 'skip']).default('error'),
  /** The file format, where the name does not tell. */
  format: z.enum(['json', 'jsonl', 'csv', 'tsv', 'parquet', 'text']).optional(),
  ...readOptions,
  /** Hub: the branch, tag or commit. Default main. */
  revision: z.string().min(1).optional(),
  /** Hub: the configuration (subset) of a data set that has several. */
  config: z.string().min(1).optional(),
  /** Hub: an access token for private data sets. */
  token: z.string().min(1).optional(),
})
export type ParsedLoadOptions = z.output<typeof loadOptionsSchema>

/** Options of `loadDataset`. */
export type LoadOptions<Schema extends z.ZodType = z.ZodType> = Omit<z.input<typeof loadOptionsSchema>, 'schema'> & {
  schema?: Schema
}
