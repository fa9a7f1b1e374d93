import type { Connection } from '@lancedb/lancedb'
import { invalidFile } from '@tunesmith/core'
import { z } from 'zod'
import { analyserSchema } from '../text/analyse'
import { chunkSchema } from '../text/chunk'
import { openTable } from './lance'

const TABLE = 'settings'

export const fieldsSchema = z.record(
  z.string().regex(/^[a-z]\w*$/i, 'a field is named with letters, digits and _'),
  z.enum(['string', 'number', 'boolean']),
)

const settingsSchema = z.object({
  format: z.literal(1),
  analyser: analyserSchema,
  chunk: chunkSchema,
  /** What counts the tokens of a chunk. */
  counter: z.string(),
  /** What made the vectors; null for an index without any. */
  embedder: z.object({ name: z.string(), dimensions: z.int().min(1) }).nullable(),
  /** Metadata that can be filtered by. */
  fields: fieldsSchema,
  /** Weight of the dense score in the convex combination, once it was fitted. */
  weight: z.number().min(0).max(1).nullable(),
  /** The last version of the chunks that is indexed whole. */
  indexed: z.object({ version: z.int(), chunks: z.int(), documents: z.int() }).nullable(),
})
/** What an index says about itself. */
export type IndexSettings = z.output<typeof settingsSchema>

export async function readSettings(connection: Connection, where: string): Promise<IndexSettings | undefined> {
  const table = await openTable(connection, TABLE)
  const [row] = (await table?.query().limit(1).toArray()) ?? []
  if (!row) return undefined
  let value: unknown
  try {
    value = JSON.parse(String(row.json))
  } catch {
    value = undefined
  }
  const result = settingsSchema.safeParse(value)
  if (result.success) return result.data
  throw invalidFile('The settings of the index cannot be read', {
    where,
    remedy: 'It was written by another version, or is damaged: build it again in another folder',
    cause: result.error,
  })
}

/** Replaces the settings in one commit. */
export async function writeSettings(connection: Connection, settings: IndexSettings): Promise<void> {
  const rows = [{ json: JSON.stringify(settings) }]
  const table = await openTable(connection, TABLE)
  if (table) await table.add(rows, { mode: 'overwrite' })
  // What a process that died here has left is no table yet, and in the way.
  else await connection.createTable(TABLE, rows).catch(() => connection.createTable(TABLE, rows, { mode: 'overwrite' }))
}
