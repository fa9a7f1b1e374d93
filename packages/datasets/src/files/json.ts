import { copyJsonSource, invalidData, jsonNumberText, notFound, parseExactJson, setJsonSource } from '@tunesmith/core'
import type { Row, RowChunk } from '../rows'
import { isObject } from '../values'
import { readBytes } from './bytes'
import { ARRAY, END_ARRAY, END_OBJECT, isSpace, OBJECT, splitJson } from './json-split'
import { readJsonl } from './jsonl'
import { invalidJson, LineRows } from './line-rows'
import type { ReadContext } from './reader'

/**
 * A JSON file: an array of rows or texts (read piece by piece), an object that holds them (by column, by key, or under a field),
 * a single row, or JSON lines under a `.json` name.
 */
export async function* readJson(path: string, context: ReadContext): AsyncGenerator<RowChunk<Row>> {
  const shape = await peek(path, context.file)
  if (shape === 'lines') yield* readJsonl(path, context)
  else if (shape === 'array' && context.options.layout !== 'columns') yield* readArray(path, context)
  else yield* readObject(path, context)
}

async function* withoutMark(pieces: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  let first = true
  for await (const piece of pieces) {
    yield first && piece[0] === 0xef && piece[1] === 0xbb && piece[2] === 0xbf ? piece.subarray(3) : piece
    first = false
  }
}

/** How the file starts: an array; an object with more behind it (JSON lines); or anything else. */
async function peek(path: string, file: string): Promise<'array' | 'lines' | 'value'> {
  let depth = 0
  let [inString, escaped, ended] = [false, false, false]
  for await (const piece of withoutMark(readBytes(path, file))) {
    for (const byte of piece) {
      if (inString) {
        if (escaped) escaped = false
        else if (byte === 92) escaped = true
        else if (byte === 34) inString = false
      } else if (isSpace(byte)) continue
      else if (ended) return 'lines'
      else if (depth === 0 && byte !== OBJECT) return byte === ARRAY ? 'array' : 'value'
      else if (byte === 34) inString = true
      else if (byte === OBJECT || byte === ARRAY) depth++
      else if (byte === END_OBJECT || byte === END_ARRAY) ended = --depth === 0
    }
  }
  return 'value'
}

async function* readArray(path: string, context: ReadContext): AsyncGenerator<RowChunk<Row>> {
  for await (const elements of splitJson(withoutMark(readBytes(path, context.file)), context.file)) {
    const rows = new LineRows(context)
    for (const { text, line } of elements) rows.parse(text, line, 'text')
    yield rows.chunk()
  }
}

/** What an object or array holds, in the order of the file, which `JSON.parse` would lose for keys that are numbers. */
async function entriesOf(pieces: AsyncIterable<Buffer>, file: string): Promise<Entries> {
  const entries: Entries = []
  for await (const elements of splitJson(pieces, file)) {
    for (const { key, text, line } of elements) {
      try {
        entries.push({ key, value: parseExactJson(text), text, line })
      } catch (error) {
        throw invalidJson(error, `${file}:${line}`)
      }
    }
  }
  return entries
}

type Entries = { key: string | undefined; value: unknown; text: string; line: number }[]
type Lists = (Entries[number] & { value: unknown[] })[]

async function* readObject(path: string, context: ReadContext): AsyncGenerator<RowChunk<Row>> {
  const { file, options } = context
  let entries = await entriesOf(withoutMark(readBytes(path, file)), file)
  for (const name of options.field?.split('.') ?? []) {
    const found = entries.find(({ key }) => key === name)
    if (!found || typeof found.value !== 'object' || found.value === null)
      throw notFound(`There is no field "${options.field}" that holds rows`, {
        where: file,
        remedy: `The fields are: ${entries
          .slice(0, 10)
          .map(({ key }) => key)
          .join(', ')}`,
      })
    entries = await inside(found, file)
  }
  yield rowsOf(entries, context)
}

/** The entries of an entry, with lines counted in the file. */
async function inside({ text, line }: Entries[number], file: string): Promise<Entries> {
  async function* pieces() {
    yield Buffer.from(text)
  }
  const entries = await entriesOf(pieces(), file)
  return entries.map((entry) => ({ ...entry, line: entry.line + line - 1 }))
}

/** Turns what a file or field holds into rows, by the layout asked for or the one it has. */
async function rowsOf(entries: Entries, context: ReadContext): Promise<RowChunk<Row>> {
  const { file, options } = context
  if (entries.length > 0 && entries[0]!.key === undefined) {
    const rows = new LineRows(context)
    for (const { value, line } of entries) rows.add(value, line, 'text')
    return rows.chunk()
  }
  const lists = entries.filter(({ value }) => Array.isArray(value)) as Lists
  const rowLists = lists.filter(({ value }) => value.length > 0 && value.every(isObject))
  const layout = options.layout ?? guessLayout(entries, lists, rowLists, context)
  if (layout === 'columns') return rowsOfColumns(lists, file, entries.length)
  if (layout === 'keyed') return rowsOfKeys(entries, file, options.keyColumn)
  const keys = entries.map(({ key }) => key!)
  if (rowLists.length === 1 && !context.isRow(keys)) return rowsOf(await inside(rowLists[0]!, file), context)
  if (rowLists.length > 1 && rowLists.length === entries.length)
    throw invalidData(`Several fields hold rows: ${keys.join(', ')}`, {
      where: file,
      remedy: `Choose one: field: '${keys[0]}'`,
    })
  return { rows: [rowOf(entries)], where: () => file }
}

/** The entries of an object as a row, with the text of its numbers and the order of its keys. */
function rowOf(entries: Entries): Row {
  return parseExactJson(`{${entries.map(({ key, text }) => `${JSON.stringify(key)}:${text}`).join()}}`) as Row
}

function guessLayout(
  entries: Entries,
  lists: Lists,
  rowLists: Lists,
  { isRow }: ReadContext,
): 'rows' | 'columns' | 'keyed' {
  if (entries.length === 0) return 'rows'
  const allLists = lists.length === entries.length
  if (allLists && rowLists.length < lists.length && lists.every(({ value }) => value.length === lists[0]!.value.length))
    return 'columns'
  if (isRow(entries.map(({ key }) => key!))) return 'rows'
  return entries.every(({ value }) => isObject(value)) ? 'keyed' : 'rows'
}

function rowsOfColumns(lists: Lists, file: string, keys: number): RowChunk<Row> {
  const length = lists[0]?.value.length ?? 0
  const odd = lists.find(({ value }) => value.length !== length)
  if (odd || lists.length < keys)
    throw invalidData(
      odd
        ? `Column "${odd.key}" has ${odd.value.length} values, "${lists[0]!.key}" has ${length}`
        : 'A column is not a list',
      { where: file },
    )
  const rows = Array.from({ length }, (_, i) => {
    const row: Row = Object.fromEntries(lists.map(({ key, value }) => [key, value[i]]))
    const numbers = new Map<string, string>()
    for (const { key, value } of lists) {
      const text = jsonNumberText(value, i)
      if (text !== undefined) numbers.set(key!, text)
    }
    if (numbers.size > 0) setJsonSource(row, { numbers })
    return row
  })
  return { rows, where: (index) => `${file}, row ${index + 1}` }
}

function rowsOfKeys(entries: Entries, file: string, keyColumn: string): RowChunk<Row> {
  const rows = entries.map(({ key, value, line }): Row => {
    if (!isObject(value)) return { [keyColumn]: key, value }
    if (keyColumn in value)
      throw invalidData(`The records have a column "${keyColumn}" already, which is to hold their keys`, {
        where: `${file}:${line}, key "${key}"`,
        remedy: "Name the key's column otherwise: keyColumn: 'key'",
      })
    return copyJsonSource(value, { [keyColumn]: key, ...value })
  })
  const places = entries.map(({ key, line }) => `${file}:${line}, key "${key}"`)
  return { rows, where: (index) => places[index] }
}
