import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { deserialize, serialize } from 'node:v8'
import { collectJsonSources, invalidData, restoreJsonSources, writeFileAtomic } from '@tunesmith/core'
import type { RowChunk } from '../rows'

/** The folder of one result: `true` is the user's cache, `TUNESMITH_CACHE` or `~/.cache/tunesmith`. */
export function cacheFolder(cache: true | string, fingerprint: string): string {
  const root = cache === true ? (process.env.TUNESMITH_CACHE ?? join(homedir(), '.cache', 'tunesmith')) : cache
  return join(root, 'datasets', fingerprint)
}

interface CachedChunksOptions<S> {
  folder: string
  /** Source rows that make one part of the cache. */
  rowsPerPart: number
  totalRows: number
  /** Computes the results of all parts from source row `start` on, one chunk a part. */
  compute(start: number): AsyncIterable<RowChunk<S>>
}

const DIGEST_BYTES = 32
const digestOf = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest()
const partFile = (folder: string, part: number) => join(folder, `rows-${String(part).padStart(6, '0')}.bin`)

/** A part's results; undefined when it is absent, damaged, or of a Node version whose format is not understood. */
async function readPart<S>(file: string): Promise<S[] | undefined> {
  try {
    const bytes = await readFile(file)
    const content = bytes.subarray(DIGEST_BYTES)
    if (!digestOf(content).equals(bytes.subarray(0, DIGEST_BYTES))) return undefined
    const { rows, sources } = deserialize(content) as { rows: S[]; sources: ReturnType<typeof collectJsonSources> }
    restoreJsonSources(rows, sources)
    return rows
  } catch {
    return undefined
  }
}

async function writePart(file: string, rows: unknown[]): Promise<void> {
  let content: Buffer
  try {
    content = serialize({ rows, sources: collectJsonSources(rows) })
  } catch (error) {
    throw invalidData(`A result cannot be kept in the cache: ${(error as Error).message}`, {
      where: file,
      remedy: 'Return plain values and typed arrays, or turn the cache off',
      cause: error,
    })
  }
  await writeFileAtomic(file, Buffer.concat([digestOf(content), content]))
}

/**
 * Results from disk as far as they go, then computed and written down part by part. Each part is whole or absent and
 * carries its digest, so a crash costs one part at most and the next run goes on from there.
 */
export async function* cachedChunks<S>(options: CachedChunksOptions<S>): AsyncGenerator<RowChunk<S>> {
  const { folder, rowsPerPart, totalRows, compute } = options
  const parts = Math.ceil(totalRows / rowsPerPart)
  let part = 0
  for (; part < parts; part++) {
    const rows = await readPart<S>(partFile(folder, part))
    if (!rows) break
    yield { rows }
  }
  if (part === parts) return
  for await (const chunk of compute(part * rowsPerPart)) {
    await writePart(partFile(folder, part++), chunk.rows)
    yield chunk
  }
}
