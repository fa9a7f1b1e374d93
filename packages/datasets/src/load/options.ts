import { z } from 'zod'

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
  /** Columns to read; all when not given. Parquet reads no others. */
  columns: z.array(z.string()).min(1).optional(),
  /** JSON: the field that holds the rows, with dots for inner ones. */
  field: z.string().min(1).optional(),
  /** JSON: the column for the keys of an object of records. Default id. */
  keyColumn: z.string().min(1).default('id'),
  /** JSON: how an object holds its rows; recognised when not given. */
  layout: z.enum(['rows', 'columns', 'keyed']).optional(),
  /** CSV: the character between fields. Default a comma; a tab for TSV. */
  delimiter: z.string().length(1).optional(),
  /** CSV: whether the first record names the columns (default true), or the names. Without either they are column_1, ... */
  header: z.union([z.boolean(), z.array(z.string()).min(1)]).default(true),
  /** CSV: read whole columns of numbers and booleans as such, as pandas does. Default false: every value is text. */
  inferTypes: z.boolean().default(false),
  /** CSV: texts that mean null. Default the empty text only; pandas' list with `inferTypes`. */
  nullValues: z.array(z.string()).optional(),
  /** Text: what a row is. Default line. */
  textUnit: z.enum(['line', 'paragraph', 'file']).default('line'),
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
