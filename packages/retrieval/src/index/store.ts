import type { Connection, Table } from '@lancedb/lancedb'
import { incompatible, invalidOptions, notFound, type TunesmithError } from '@tunesmith/core'
import type { Embedder } from '../embed/embedder'
import { chunkSchemaOf } from './chunk-table'
import { lance, openTable } from './lance'
import { type IndexSettings, writeSettings } from './settings'

const TABLE = 'chunks'
/** Below so many vectors all are compared, which is exact. */
const EXACT_BELOW = 20_000
/** Readers of a version that old are gone. */
const KEPT_MS = 60 * 60 * 1000

/** The chunks of an index that may be written. */
export async function openChunks(connection: Connection, settings: IndexSettings): Promise<Table> {
  const table = await openTable(connection, TABLE)
  return table ?? connection.createEmptyTable(TABLE, chunkSchemaOf(settings), { existOk: true, mode: 'create' })
}

/** The chunks as they were when they were last indexed whole: what goes on since then is not seen. */
export async function openIndexed(connection: Connection, settings: IndexSettings, where: string): Promise<Table> {
  const table = settings.indexed && (await openTable(connection, TABLE))
  if (!table)
    throw notFound('The index was never finished', {
      where,
      remedy: 'Run the indexing again; it goes on where it stopped',
    })
  await table.checkout(settings.indexed!.version)
  return table
}

/** How the vectors of an index of this size are searched. */
export const partitionsOf = (chunks: number): number => (chunks < EXACT_BELOW ? 0 : Math.round(Math.sqrt(chunks)))

/**
 * Indexes all chunks anew and makes this version the one that readers see. Full-text statistics are counted over exactly these chunks: an index
 * that grows piece by piece would score with those of each piece, and with documents that are gone.
 */
export async function finishChunks(
  connection: Connection,
  table: Table,
  settings: IndexSettings,
): Promise<IndexSettings> {
  const { Index } = await lance()
  for (const { name } of await table.listIndices()) await table.dropIndex(name)
  await table.optimize({ cleanupOlderThan: new Date(Date.now() - KEPT_MS) })
  const chunks = await table.countRows()
  if (chunks > 0)
    await table.createIndex('tokens', {
      replace: true,
      config: Index.fts({
        baseTokenizer: 'whitespace',
        withPosition: false,
        lowercase: false,
        stem: false,
        removeStopWords: false,
        asciiFolding: false,
        maxTokenLength: 1024,
      }),
    })
  const numPartitions = partitionsOf(chunks)
  if (settings.embedder && numPartitions > 0)
    await table.createIndex('vector', { replace: true, config: Index.ivfFlat({ distanceType: 'dot', numPartitions }) })
  const finished = {
    ...settings,
    indexed: {
      version: await table.version(),
      chunks,
      documents: await table.countRows('position = 0'),
    },
  }
  await writeSettings(connection, finished)
  return finished
}

/** @throws {TunesmithError} `incompatible` for another embedder than the one that made the index. */
export function checkEmbedder(settings: IndexSettings, embedder: Embedder | undefined, where: string): void {
  if (!embedder) return
  const { embedder: made } = settings
  if (made && made.name === embedder.name && made.dimensions === embedder.dimensions) return
  throw incompatible(
    made
      ? `The index was made with the embedder ${made.name} (${made.dimensions} dimensions), and this one is ${embedder.name} (${embedder.dimensions})`
      : 'The index was made without an embedder',
    { where, remedy: 'Use the same one, or build the index again in another folder' },
  )
}

/** The error of a search or a change that needs vectors. */
export function needsEmbedder({ embedder }: IndexSettings, where: string): TunesmithError {
  return invalidOptions(
    embedder
      ? `The index needs its embedder, ${embedder.name}`
      : 'The index has no vectors, so it is searched by words',
    { where, remedy: embedder ? 'Give it when you open the index' : 'Use mode: "bm25", or build it with an embedder' },
  )
}
