import type { TunesmithError } from '@tunesmith/core'
import type { Row, RowChunk } from '../rows'

/** What a file reader is given besides the path. */
export interface ReadContext {
  /** The name shown in errors: the path as the user gave it. */
  file: string
  options: ReadOptions
  /** Whether fields of these names make a row, so that an object of lists or texts is one row and not a table. */
  isRow(fields: readonly string[]): boolean
  /** A row that cannot be read: throws it, or notes it and lets the reader go on with the next row. */
  badRow(error: TunesmithError): void
}

/** Options of the single file formats; see `loadDataset` for what each means. */
export interface ReadOptions {
  columns?: string[] | undefined
  field?: string | undefined
  keyColumn: string
  layout?: 'rows' | 'columns' | 'keyed' | undefined
  delimiter?: string | undefined
  header: boolean | string[]
  inferTypes: boolean
  nullValues?: string[] | undefined
  textUnit: 'line' | 'paragraph' | 'file'
}

/** Reads the rows of one file of one format, some at a time. */
export type FileReader = (path: string, context: ReadContext) => AsyncGenerator<RowChunk<Row>>
