import { availableParallelism } from 'node:os'
import type { Connection, Table } from '@lancedb/lancedb'
import { isTunesmithError, TunesmithError } from '@tunesmith/core'

export type Lance = typeof import('@lancedb/lancedb')

let loaded: Promise<Lance> | undefined

/**
 * LanceDB, loaded when it is first needed.
 *
 * On two processors Lance gives itself a single thread to compute with, and building a full-text index over more than one fragment then waits
 * for itself without end; so it gets four at least.
 */
export function lance(): Promise<Lance> {
  process.env.LANCE_CPU_THREADS ??= String(Math.max(4, availableParallelism()))
  loaded ??= import('@lancedb/lancedb')
  return loaded
}

/** Caches of an open index: without a bound, Lance keeps up to 7 GB. */
const CACHE = { index: 192n * 2n ** 20n, metadata: 64n * 2n ** 20n }

export interface StoreOptions {
  /** For `s3://` and its like: `{ region, aws_access_key_id, aws_secret_access_key, endpoint, allow_http }` and more, as LanceDB takes them. */
  storageOptions?: Record<string, string> | undefined
}

export async function connectStore(uri: string, { storageOptions }: StoreOptions): Promise<Connection> {
  const { connect, Session } = await lance()
  const session = new Session(CACHE.index, CACHE.metadata)
  return connect(uri, storageOptions ? { storageOptions } : {}, session).catch(failStore(uri, 'open the index'))
}

/** Whether an index lies with a server, where folders and their locks are unknown. */
export const isRemote = (uri: string): boolean => /^[a-z][a-z0-9+.-]+:\/\//i.test(uri) && !uri.startsWith('file://')

/** A table, or undefined where there is none that was written to the end. */
export async function openTable(connection: Connection, name: string): Promise<Table | undefined> {
  try {
    return await connection.openTable(name)
  } catch (error) {
    if (/not found|does not exist|no such/i.test(String(error))) return undefined
    throw error
  }
}

/** A failure of LanceDB as a {@link TunesmithError}. */
export function storeError(error: unknown, where: string, action: string): TunesmithError {
  if (isTunesmithError(error)) return error
  const message = String((error as Error)?.message ?? error).split('\n')[0]!
  if (/no space left|quota|os error 28/i.test(message))
    return new TunesmithError(`Could not ${action}: No space left on the disk`, {
      code: 'io',
      where,
      remedy: 'Free some space and run it again: every document committed before is there, and is not read again',
      cause: error,
    })
  if (/permission denied|read-only/i.test(message))
    return new TunesmithError(`Could not ${action}: No permission`, {
      code: 'io',
      where,
      remedy: 'Check the permissions of the folder',
      cause: error,
    })
  return new TunesmithError(`Could not ${action}: ${message.slice(0, 400)}`, {
    code: isRemote(where) ? 'network' : 'invalid_file',
    where,
    remedy: isRemote(where)
      ? 'Check the address, the credentials and storageOptions'
      : 'If the folder is damaged, build the index again in another one',
    cause: error,
  })
}

export const failStore = (where: string, action: string) => (error: unknown) => {
  throw storeError(error, where, action)
}

/** A text in a filter. */
export const quoted = (text: string): string => `'${text.replaceAll("'", "''")}'`
