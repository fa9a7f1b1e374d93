import type { Schema, Table, Vector } from 'apache-arrow'
import type { FieldValue } from '../documents/document'
import { arrow } from './arrow'
import type { IndexSettings } from './settings'

const { Bool, Field, FixedSizeList, Float32, Float64, Int32, makeData, makeVector, Utf8, vectorFromArray } = arrow

/** A chunk as it is stored. */
export interface ChunkRow {
  /** The document's id, `#` and the chunk's position. */
  id: string
  document: string
  /** Of everything the document says; tells whether it changed. */
  hash: string
  /** Of the document's text; tells whether another one has the same. */
  content: string
  position: number
  source: string
  start: number
  end: number
  text: string
  /** The analyser's words, joined by blanks. */
  tokens: string
  metadata: Record<string, FieldValue>
  vector?: Float32Array
}

const TEXTS = ['id', 'document', 'hash', 'content', 'source', 'text', 'tokens'] as const
const NUMBERS = ['position', 'start', 'end'] as const
const FIELD_TYPES = { string: () => new Utf8(), number: () => new Float64(), boolean: () => new Bool() }

/** The column that a field of the metadata can be filtered by. */
export const fieldColumn = (name: string): string => `field_${name}`

const vectorType = (dimensions: number) => new FixedSizeList(dimensions, new Field('item', new Float32(), true))

export function chunkSchemaOf({ fields, embedder }: Pick<IndexSettings, 'fields' | 'embedder'>): Schema {
  return new arrow.Schema([
    ...TEXTS.map((name) => new Field(name, new Utf8(), false)),
    ...NUMBERS.map((name) => new Field(name, new Int32(), false)),
    new Field('metadata', new Utf8(), false),
    ...Object.entries(fields).map(([name, type]) => new Field(fieldColumn(name), FIELD_TYPES[type](), true)),
    ...(embedder ? [new Field('vector', vectorType(embedder.dimensions), true)] : []),
  ])
}

/** Rows as columns, the vectors in one piece. */
export function chunkTable(rows: readonly ChunkRow[], settings: IndexSettings): Table {
  const columns: Record<string, Vector> = {}
  for (const name of TEXTS)
    columns[name] = vectorFromArray(
      rows.map((row) => row[name]),
      new Utf8(),
    )
  for (const name of NUMBERS) columns[name] = makeVector(Int32Array.from(rows, (row) => row[name]))
  columns.metadata = vectorFromArray(
    rows.map(({ metadata }) => JSON.stringify(metadata)),
    new Utf8(),
  )
  for (const [name, type] of Object.entries(settings.fields))
    columns[fieldColumn(name)] = vectorFromArray(
      rows.map(({ metadata }) => metadata[name] ?? null),
      FIELD_TYPES[type](),
    )
  if (settings.embedder) {
    const { dimensions } = settings.embedder
    const values = new Float32Array(rows.length * dimensions)
    rows.forEach(({ vector }, i) => {
      values.set(vector!, i * dimensions)
    })
    const child = makeData({ type: new Float32(), length: values.length, nullCount: 0, data: values })
    columns.vector = makeVector(
      makeData({ type: vectorType(dimensions), length: rows.length, nullCount: 0, child }),
    ) as unknown as Vector
  }
  return new arrow.Table(chunkSchemaOf(settings), columns)
}
