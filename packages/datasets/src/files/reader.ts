import type { TunesmithError } from '@tunesmith/core'
import { z } from 'zod'
import type { Row, RowChunk } from '../rows'

/** Options of the single file formats, part of those of `loadDataset`. */
export const readOptions = {
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
}

/** What a file reader is given besides the path. */
export interface ReadContext {
  /** The name shown in errors: the path as the user gave it. */
  file: string
  options: z.output<z.ZodObject<typeof readOptions>>
  /** Whether fields of these names make a row, so that an object of lists or texts is one row and not a table. */
  isRow(fields: readonly string[]): boolean
  /** A row that cannot be read: throws it, or notes it and lets the reader go on with the next row. */
  badRow(error: TunesmithError): void
}

/** Reads the rows of one file of one format, some at a time. */
export type FileReader = (path: string, context: ReadContext) => AsyncGenerator<RowChunk<Row>>
