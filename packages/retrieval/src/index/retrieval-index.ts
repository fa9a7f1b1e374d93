import { stat } from 'node:fs/promises'
import type { Connection, Table } from '@lancedb/lancedb'
import { failAs, invalidData, invalidOptions, notFound, parseOptions, withFolderLock } from '@tunesmith/core'
import { z } from 'zod'
import type { Document } from '../documents/document'
import type { Embedder } from '../embed/embedder'
import { type Fit, fitWeight, type LabelledQuestion } from '../search/fit'
import { type Passage, Searcher, type SearchOptions } from '../search/search'
import { analyserSchema } from '../text/analyse'
import { type CountTokens, chunkSchema, countWords } from '../text/chunk'
import { connectStore, failStore, isRemote, type StoreOptions } from './lance'
import { fieldsSchema, type IndexSettings, readSettings, writeSettings } from './settings'
import { checkEmbedder, finishChunks, needsEmbedder, openChunks, openIndexed } from './store'
import { type AddOptions, type AddReport, ChunkWriter, removeDocuments, writeDocuments } from './write'

const createSchema = z.strictObject({
  analyser: analyserSchema.prefault({}),
  chunk: chunkSchema.prefault({}),
  /** Metadata that searches can filter by: `{ year: 'number' }`. */
  fields: fieldsSchema.default({}),
})

export interface OpenIndexOptions extends StoreOptions {
  /** The one that made the index; without it, the index is searched by words alone. */
  embedder?: Embedder | undefined
  /** Counts the tokens of chunks as a model's tokenizer does. Default: words and marks. */
  tokens?: { name: string; count: CountTokens } | undefined
}

export type CreateIndexOptions = OpenIndexOptions & z.input<typeof createSchema>

/** How many of each there are. */
export interface IndexSize {
  documents: number
  chunks: number
}

/**
 * Documents that can be searched. Made by {@link createIndex} or {@link openIndex}.
 *
 * Readers see the last version that was indexed whole, while a writer, one at a time, makes the next one.
 */
export class RetrievalIndex {
  readonly uri: string
  readonly embedder: Embedder | undefined
  readonly #connection: Connection
  readonly #count: CountTokens
  #settings: IndexSettings
  #searcher: Searcher | undefined

  constructor(uri: string, connection: Connection, settings: IndexSettings, options: OpenIndexOptions) {
    this.uri = uri
    this.#connection = connection
    this.#settings = settings
    this.embedder = options.embedder
    this.#count = options.tokens?.count ?? countWords
  }

  get settings(): Readonly<IndexSettings> {
    return this.#settings
  }

  get size(): IndexSize {
    const { documents = 0, chunks = 0 } = this.#settings.indexed ?? {}
    return { documents, chunks }
  }

  /**
   * Brings the index up to the given documents: new ones are added, changed ones replaced, unchanged ones not even cut. Every commit holds whole
   * documents; stopped or killed at any moment, the index keeps what it said before and all that was committed, and the next call goes on.
   *
   * @throws {TunesmithError} `io` when another process writes to the index or the disk is full; `invalid_data` for a bad document, or when
   *   there is nothing to index; `invalid_options` when the index has vectors and was opened without its embedder.
   */
  async add(documents: Iterable<Document> | AsyncIterable<Document>, options: AddOptions = {}): Promise<AddReport> {
    if (this.#settings.embedder && !this.embedder) throw needsEmbedder(this.#settings, this.uri)
    return this.#writing(async (table) => {
      const writer = new ChunkWriter(table, this.#settings, this.embedder, this.#count, {
        where: this.uri,
        onCommit: options.onCommit,
      })
      const report = await writeDocuments(table, documents, writer, options)
      if ((await table.countRows()) === 0)
        throw invalidData('There is nothing to index: no document has a word in it', { where: this.uri })
      return report
    })
  }

  /** Removes documents by id; unknown ids change nothing. */
  async remove(ids: readonly string[]): Promise<void> {
    await this.#writing((table) => removeDocuments(table, ids, this.uri))
  }

  /**
   * The passages for a question, best first.
   *
   * @throws {TunesmithError} `invalid_options`; `not_found` when the index was never finished.
   */
  async search(question: string, options: SearchOptions = {}): Promise<Passage[]> {
    return (await this.#open()).search(question, options)
  }

  /**
   * Learns the weight of the dense score in the convex combination from questions whose documents are known, and keeps it: hybrid searches use
   * it from then on.
   */
  async fit(questions: readonly LabelledQuestion[]): Promise<Fit> {
    const fit = await fitWeight(await this.#open(), questions)
    await this.#locked(async () => {
      // Another process may have indexed meanwhile.
      const now = (await readSettings(this.#connection, this.uri)) ?? this.#settings
      this.#settings = { ...this.#settings, weight: fit.weight }
      await writeSettings(this.#connection, { ...now, weight: fit.weight })
    })
    this.#searcher = undefined
    return fit
  }

  /** Lets go of the files. */
  close(): void {
    this.#searcher = undefined
    this.#connection.close()
  }

  async #open(): Promise<Searcher> {
    this.#searcher ??= new Searcher(
      await openIndexed(this.#connection, this.#settings, this.uri).catch(failStore(this.uri, 'open the index')),
      this.#settings,
      this.embedder,
      this.uri,
    )
    return this.#searcher
  }

  /** Runs `work` on the newest chunks and finishes them, also when it fails. */
  #writing<Result>(work: (table: Table) => Promise<Result>): Promise<Result> {
    return this.#locked(async () => {
      this.#settings = (await readSettings(this.#connection, this.uri)) ?? this.#settings
      const table = await openChunks(this.#connection, this.#settings).catch(failStore(this.uri, 'open the index'))
      try {
        return await work(table)
      } finally {
        if ((await table.version().catch(() => undefined)) !== this.#settings.indexed?.version)
          await this.#finish(table).catch(failStore(this.uri, 'finish the index'))
      }
    })
  }

  async #finish(table: Table): Promise<void> {
    this.#settings = await finishChunks(this.#connection, table, this.#settings)
    this.#searcher = undefined
  }

  #locked<Result>(work: () => Promise<Result>): Promise<Result> {
    return isRemote(this.uri) ? work() : withFolderLock(this.uri, work)
  }

  /** Finishes what a process that died has left behind, unless another one is writing. */
  async recover(): Promise<void> {
    const table = await openChunks(this.#connection, this.#settings)
    if ((await table.version()) === this.#settings.indexed?.version) return
    await this.#locked(async () => {
      this.#settings = (await readSettings(this.#connection, this.uri)) ?? this.#settings
      await table.checkoutLatest()
      if ((await table.version()) !== this.#settings.indexed?.version) await this.#finish(table)
    }).catch((error: unknown) => {
      // A writer is at work, or the folder is read-only: what was finished before can be read.
      if (!this.#settings.indexed) throw error
    })
  }
}

/**
 * Opens the index in a folder or at an address, or makes a new one there.
 *
 * @param uri a folder, or `s3://bucket/path` and its like.
 * @throws {TunesmithError} `incompatible` when an index of other settings is there; `io` when another process is finishing it.
 */
export async function createIndex(uri: string, options: CreateIndexOptions = {}): Promise<RetrievalIndex> {
  const { embedder, tokens, storageOptions, ...rest } = options
  const { analyser, chunk, fields } = parseOptions(createSchema, rest, 'createIndex')
  const wanted: IndexSettings = {
    ...{ format: 1, analyser, chunk, fields, counter: tokens?.name ?? 'words', weight: null, indexed: null },
    embedder: embedder ? { name: embedder.name, dimensions: embedder.dimensions } : null,
  }
  if (!isRemote(uri)) await refuseFile(uri)
  const connection = await connectStore(uri, { storageOptions })
  const there = await readSettings(connection, uri).catch(failStore(uri, 'read the index'))
  if (there) {
    checkEmbedder(there, embedder, uri)
    const differs = (['analyser', 'chunk', 'counter', 'fields'] as const).find(
      (key) => JSON.stringify(there[key]) !== JSON.stringify(wanted[key]),
    )
    if (differs)
      throw invalidOptions(
        `There is an index with other settings: ${differs} is ${JSON.stringify(there[differs])} and not ${JSON.stringify(wanted[differs])}`,
        { where: uri, remedy: 'Give the same, or build another index in another folder' },
      )
  } else {
    const write = () => writeSettings(connection, wanted).catch(failStore(uri, 'make the index'))
    await (isRemote(uri) ? write() : withFolderLock(uri, write))
  }
  return new RetrievalIndex(uri, connection, there ?? wanted, options)
}

/**
 * Opens an index. What a process that died while indexing has committed is finished first.
 *
 * @throws {TunesmithError} `not_found` where there is none; `incompatible` for another embedder; `io` when it is being made just now.
 */
export async function openIndex(uri: string, options: OpenIndexOptions = {}): Promise<RetrievalIndex> {
  if (!isRemote(uri)) {
    await stat(uri).catch(failAs(uri, 'open the index'))
    await refuseFile(uri)
  }
  const connection = await connectStore(uri, options)
  const settings = await readSettings(connection, uri).catch(failStore(uri, 'read the index'))
  if (!settings)
    throw notFound('There is no index', { where: uri, remedy: 'Make one with `tunesmith index SOURCES --out DIR`' })
  checkEmbedder(settings, options.embedder, uri)
  if (options.tokens && options.tokens.name !== settings.counter)
    throw invalidOptions(`The index counts tokens with ${settings.counter}, not ${options.tokens.name}`, { where: uri })
  const index = new RetrievalIndex(uri, connection, settings, options)
  await index.recover().catch(failStore(uri, 'open the index'))
  return index
}

async function refuseFile(uri: string): Promise<void> {
  const stats = await stat(uri).catch(() => undefined)
  if (stats && !stats.isDirectory())
    throw invalidOptions('This is a file, and an index is a folder', { where: uri, remedy: 'Name a folder' })
}
