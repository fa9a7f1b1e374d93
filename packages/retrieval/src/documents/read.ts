import { readdir, readFile, stat } from 'node:fs/promises'
import { extname, join, relative, sep } from 'node:path'
import {
  failAs,
  invalidData,
  invalidOptions,
  isTunesmithError,
  notFound,
  parseOptions,
  statRegularFile,
} from '@tunesmith/core'
import { loadDataset, type Row } from '@tunesmith/datasets'
import { z } from 'zod'
import type { Document, FieldValue } from './document'
import { globExpression, splitGlob } from './glob'
import { htmlText } from './html'
import { pdfText } from './pdf'

export const readDocumentsSchema = z.strictObject({
  /** Files of a folder to read, as a pattern below it: `**\/*.md`. Default: every file of a kind that is known. */
  glob: z.string().min(1).optional(),
  /** Column of the text in rows. Default: the first of `text`, `content`, `body`, `abstract`, `contexts` that is there. */
  textColumn: z.string().min(1).optional(),
  /** Column of the id in rows. Default: the first of `id`, `pubid`, `_id`; without one, the file and the number of the row. */
  idColumn: z.string().min(1).optional(),
  /** Columns of rows that become metadata. Default none. */
  metadataColumns: z.array(z.string()).default([]),
  /** Files above this size are refused, since a document is read whole. Default 64 MB. */
  maxBytes: z
    .int()
    .min(1)
    .default(64 * 1024 * 1024),
  /** What to do about a document that cannot be read: stop (`error`, the default), or tell `onSkip` and go on. */
  onError: z.enum(['error', 'skip']).default('error'),
  /** Gets one message for each document that was left out. */
  onSkip: z.custom<(message: string) => void>((value) => typeof value === 'function').optional(),
})
export type ReadDocumentsOptions = z.input<typeof readDocumentsSchema>
type Parsed = z.output<typeof readDocumentsSchema>

const TEXTS = new Set(['.txt', '.text', '.md', '.markdown', '.html', '.htm', '.pdf'])
const ROWS = /\.(json|jsonl|ndjson|csv|tsv|parquet)(\.(gz|zst))?$/
const TEXT_COLUMNS = ['text', 'content', 'body', 'abstract', 'contexts', 'CONTEXTS', 'context']
const ID_COLUMNS = ['id', 'pubid', '_id']

const isKnown = (path: string) => TEXTS.has(extname(path).toLowerCase()) || ROWS.test(path)

/**
 * The documents of files, folders and patterns (`notes/**\/*.md`), in the order of their paths: text, Markdown, HTML, PDF, and rows of JSON,
 * JSON lines, CSV, TSV and Parquet. A file's id is its path as it was named; a folder's files are named below the folder.
 *
 * @throws {TunesmithError} `not_found` for a source that is not there or holds nothing to read, `invalid_data`, `invalid_file` with the place.
 */
export async function* readDocuments(
  sources: string | readonly string[],
  options: ReadDocumentsOptions = {},
): AsyncGenerator<Document, void, undefined> {
  const parsed = parseOptions(readDocumentsSchema, options, 'readDocuments')
  const list = typeof sources === 'string' ? [sources] : sources
  if (list.length === 0) throw invalidOptions('No source is named', { where: 'readDocuments' })
  for (const source of list) {
    let found = 0
    let skipped = 0
    for (const path of await filesOf(source, parsed)) {
      try {
        for await (const document of readFileDocuments(path, parsed)) {
          found++
          yield document
        }
      } catch (error) {
        if (parsed.onError === 'error' || !isTunesmithError(error)) throw error
        skipped++
        parsed.onSkip?.(error.message)
      }
    }
    if (found === 0 && skipped === 0)
      throw notFound('There is no document in the source', {
        where: source,
        remedy: `Known are ${[...TEXTS].join(', ')} and rows in JSON, JSON lines, CSV, TSV and Parquet`,
      })
  }
}

async function filesOf(source: string, { glob }: Parsed): Promise<string[]> {
  const split = (await stat(source).catch(() => undefined)) ? undefined : splitGlob(source)
  const folder = split?.folder ?? source
  const stats = await stat(folder).catch(failAs(source, 'read'))
  if (!stats.isDirectory()) return [source]
  const pattern = split?.pattern ?? glob
  const matches =
    pattern === undefined
      ? isKnown
      : (
          (match) => (path: string) =>
            match.test(path)
        )(globExpression(pattern))
  const entries = await readdir(folder, { recursive: true, withFileTypes: true }).catch(failAs(folder, 'read'))
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath ?? entry.path, entry.name))
    .filter((path) => {
      const below = relative(folder, path).split(sep)
      return !below.some((name) => name.startsWith('.')) && matches(below.join('/'))
    })
    .sort()
}

async function* readFileDocuments(path: string, options: Parsed): AsyncGenerator<Document> {
  const { size } = await statRegularFile(path)
  if (ROWS.test(path)) {
    yield* rowDocuments(path, options)
    return
  }
  if (size > options.maxBytes)
    throw invalidData(`The document has ${size} bytes, and ${options.maxBytes} are allowed`, {
      where: path,
      remedy: 'Split it into files, or make its parts rows of a JSON lines file, which is read row by row',
    })
  const bytes = await readFile(path).catch(failAs(path, 'read'))
  const kind = extname(path).toLowerCase()
  const id = path.split(sep).join('/')
  if (kind === '.pdf') yield { id, source: id, text: await pdfText(bytes, path) }
  else {
    const content = utf8(bytes, path)
    const { text, title } = kind === '.html' || kind === '.htm' ? htmlText(content) : { text: content, title: '' }
    if (text.trim() === '') throw invalidData('The document is empty', { where: path, remedy: 'Leave it out' })
    yield { id, source: id, text, ...(title && { metadata: { title } }) }
  }
}

function utf8(bytes: Uint8Array, where: string): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  } catch (cause) {
    throw invalidData('The document is not text in UTF-8', {
      where,
      remedy: 'Convert it with `iconv -t utf-8`, or leave it out',
      cause,
    })
  }
}

/** Rows one after the other, never all in memory. */
async function* rowDocuments(path: string, options: Parsed): AsyncGenerator<Document> {
  const stream = await loadDataset(path, { streaming: true })
  let row = 0
  for await (const each of stream) yield rowDocument(each, `${path}, row ${row}`, `${path}#${row++}`, options)
}

/**
 * A row as a document.
 *
 * @param where the row's place, for errors.
 * @param fallbackId its id where it has no column with one.
 */
export function rowDocument(
  row: Row,
  where: string,
  fallbackId: string,
  { textColumn, idColumn, metadataColumns = [] }: ReadDocumentsOptions = {},
): Document {
  const column = textColumn ?? TEXT_COLUMNS.find((name) => textOf(row[name]) !== undefined)
  const text = column === undefined ? undefined : textOf(row[column])
  if (text === undefined)
    throw invalidData(column === undefined ? 'The row has no text' : `There is no text in the column "${column}"`, {
      where,
      remedy: `Name the column of the text; the row has ${Object.keys(row).slice(0, 12).join(', ')}`,
    })
  const idName = idColumn ?? ID_COLUMNS.find((name) => row[name] !== undefined && row[name] !== null)
  const id = idName === undefined ? fallbackId : row[idName]
  if (typeof id !== 'string' && typeof id !== 'number' && typeof id !== 'bigint')
    throw invalidData(`There is no id in the column "${idName}"`, { where })
  const metadata = Object.fromEntries(
    metadataColumns.flatMap((name) => (isField(row[name]) ? [[name, row[name] as FieldValue]] : [])),
  )
  return { id: String(id), source: String(id), text, metadata }
}

const isField = (value: unknown): value is FieldValue =>
  typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean'

/** A text, a list of texts, or PubMedQA's `{ contexts }`. */
function textOf(value: unknown): string | undefined {
  if (typeof value === 'string') return value
  if (Array.isArray(value) && value.length > 0 && value.every((each) => typeof each === 'string'))
    return value.join('\n')
  if (typeof value === 'object' && value !== null && 'contexts' in value) return textOf(value.contexts)
  return undefined
}
