import type { Table } from '@lancedb/lancedb'
import { invalidData, TunesmithError } from '@tunesmith/core'
import { checkDocument, type Document, type FieldValue, hashText } from '../documents/document'
import { type Embedder, embedTexts } from '../embed/embedder'
import { type Analyser, createAnalyser } from '../text/analyse'
import { type CountTokens, chunkText } from '../text/chunk'
import { createMask, type MaskPattern, type MaskReport } from '../text/mask'
import { type ChunkRow, chunkTable } from './chunk-table'
import { failStore, quoted } from './lance'
import type { IndexSettings } from './settings'

export interface AddOptions {
  /** Removes the documents of the index that are not among the given ones. Default false. */
  prune?: boolean
  /** Masked before anything is stored: some of {@link MASKS}, or patterns of your own. Default none. */
  mask?: readonly MaskPattern[]
  signal?: AbortSignal
  /** Called behind each commit; what it counts is kept whatever happens later. */
  onCommit?: (progress: { documents: number; chunks: number }) => void
}

export interface AddReport {
  added: number
  updated: number
  unchanged: number
  removed: number
  /** Documents whose text another document has already: the id left out, and the id of the other one. */
  duplicates: { id: string; of: string }[]
  /** Ids of documents without a word. */
  empty: string[]
  /** Chunks written. */
  chunks: number
  /** What was masked; undefined when nothing was asked. */
  masked: MaskReport | undefined
}

/** Chunks in one commit: with an embedder, some seconds of work. */
const BATCH = { plain: 4_000, embedded: 256, characters: 16_000_000 }

interface Known {
  hash: string
  content: string
}

/** The documents of a table, by id. */
export async function knownDocuments(table: Table): Promise<Map<string, Known>> {
  const known = new Map<string, Known>()
  for await (const batch of table.query().where('position = 0').select(['document', 'hash', 'content'])) {
    const [documents, hashes, contents] = ['document', 'hash', 'content'].map((name) => batch.getChild(name)!)
    for (let i = 0; i < batch.numRows; i++)
      known.set(String(documents!.get(i)), { hash: String(hashes!.get(i)), content: String(contents!.get(i)) })
  }
  return known
}

/** Writes documents in whole commits: a document is in the table with all its chunks or, when it was changed, as it was before. */
export class ChunkWriter {
  readonly #table: Table
  readonly #settings: IndexSettings
  readonly #embedder: Embedder | undefined
  readonly #count: CountTokens
  readonly #analyse: Analyser
  readonly #onCommit: AddOptions['onCommit']
  readonly where: string
  #rows: ChunkRow[] = []
  #characters = 0
  /** Of the documents in `rows`, those that the table has already. */
  #replaced: string[] = []
  #waiting = 0
  #documents = 0
  chunks = 0

  constructor(
    table: Table,
    settings: IndexSettings,
    embedder: Embedder | undefined,
    count: CountTokens,
    { where, onCommit }: { where: string } & Pick<AddOptions, 'onCommit'>,
  ) {
    this.where = where
    this.#table = table
    this.#settings = settings
    this.#embedder = embedder
    this.#count = count
    this.#analyse = createAnalyser(settings.analyser)
    this.#onCommit = onCommit
  }

  /** @returns false for a document without a word. */
  async write(document: Document, known: Known, replaces: boolean): Promise<boolean> {
    const { id, text } = document
    const metadata = checkedMetadata(document, this.#settings)
    const rows: ChunkRow[] = []
    for (const { start, end } of chunkText(text, this.#settings.chunk, this.#count)) {
      const part = text.slice(start, end)
      const tokens = this.#analyse(part)
      if (tokens.length === 0) continue
      const position = rows.length
      rows.push({
        ...{ id: `${id}#${position}`, document: id, ...known, position, source: document.source ?? id },
        ...{ start, end, text: part, tokens: tokens.join(' '), metadata },
      })
    }
    if (rows.length === 0) return false
    this.#rows.push(...rows)
    this.#characters += text.length
    this.#waiting++
    if (replaces) this.#replaced.push(id)
    const limit = this.#embedder ? BATCH.embedded : BATCH.plain
    if (this.#rows.length >= limit || this.#characters >= BATCH.characters) await this.flush()
    return true
  }

  async flush(): Promise<void> {
    const rows = this.#rows
    if (rows.length === 0) return
    if (this.#embedder) {
      const vectors = await embedTexts(
        this.#embedder,
        rows.map(({ text }) => text),
        'passage',
      )
      rows.forEach((row, i) => {
        row.vector = vectors[i]!
      })
    }
    const data = chunkTable(rows, this.#settings)
    const failed = failStore(this.where, 'write to the index')
    if (this.#replaced.length === 0) await this.#table.add(data).catch(failed)
    else
      await this.#table
        .mergeInsert('id')
        .whenMatchedUpdateAll()
        .whenNotMatchedInsertAll()
        .whenNotMatchedBySourceDelete({ where: `document IN (${this.#replaced.map(quoted).join(', ')})` })
        .execute(data)
        .catch(failed)
    this.chunks += rows.length
    this.#documents += this.#waiting
    this.#rows = []
    this.#replaced = []
    this.#characters = 0
    this.#waiting = 0
    this.#onCommit?.({ documents: this.#documents, chunks: this.chunks })
  }
}

function checkedMetadata({ id, metadata = {} }: Document, { fields }: IndexSettings): Record<string, FieldValue> {
  const kept: Record<string, FieldValue> = {}
  for (const [name, value] of Object.entries(metadata)) {
    if (value === null || value === undefined) continue
    const type = Object.hasOwn(fields, name) ? fields[name] : undefined
    if (type && typeof value !== type)
      throw invalidData(`The field "${name}" is ${JSON.stringify(value)}, and it is a ${type}`, {
        where: `document ${id}`,
      })
    kept[name] = value
  }
  return kept
}

/** Brings a table up to the given documents. */
export async function writeDocuments(
  table: Table,
  documents: Iterable<Document> | AsyncIterable<Document>,
  writer: ChunkWriter,
  { prune = false, mask = [], signal }: AddOptions,
): Promise<AddReport> {
  const known = await knownDocuments(table)
  const owners = new Map([...known].map(([id, { content }]) => [content, id]))
  const masked: MaskReport = { documents: 0, counts: {} }
  const maskText = createMask(mask, masked)
  const seen = new Set<string>()
  const report: AddReport = {
    ...{ added: 0, updated: 0, unchanged: 0, removed: 0, duplicates: [], empty: [], chunks: 0 },
    masked: mask.length > 0 ? masked : undefined,
  }
  /** Gone from the table at the end: what is no longer given, or has become empty or a duplicate. */
  const gone: string[] = []
  for await (const given of documents) {
    if (signal?.aborted) {
      await writer.flush()
      throw new TunesmithError('Stopped on request', { code: 'aborted', cause: signal.reason })
    }
    checkDocument(given)
    const { id } = given
    if (seen.has(id))
      throw invalidData('Two documents have the same id', {
        where: `document ${id}`,
        remedy: 'Give each one of its own',
      })
    seen.add(id)
    const document = { ...given, text: maskText(given.text) }
    const content = hashText(document.text)
    const hash = hashText(JSON.stringify([document.text, document.source ?? null, document.metadata ?? null]))
    const before = known.get(id)
    if (before?.hash === hash) {
      report.unchanged++
      continue
    }
    const owner = owners.get(content)
    if (owner !== undefined && owner !== id) {
      report.duplicates.push({ id, of: owner })
      if (before) gone.push(id)
      continue
    }
    if (!(await writer.write(document, { hash, content }, before !== undefined))) {
      report.empty.push(id)
      if (before) gone.push(id)
      continue
    }
    if (before) owners.delete(before.content)
    owners.set(content, id)
    if (before) report.updated++
    else report.added++
  }
  await writer.flush()
  if (prune) for (const id of known.keys()) if (!seen.has(id)) gone.push(id)
  await removeDocuments(table, gone, writer.where)
  report.removed = gone.length
  report.chunks = writer.chunks
  return report
}

export async function removeDocuments(table: Table, ids: readonly string[], where: string): Promise<void> {
  for (let at = 0; at < ids.length; at += 1000) {
    const list = ids
      .slice(at, at + 1000)
      .map(quoted)
      .join(', ')
    await table.delete(`document IN (${list})`).catch(failStore(where, 'remove documents'))
  }
}
