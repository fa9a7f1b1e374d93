import { TunesmithError } from '@tunesmith/core'
import { detectColumns } from '../formats/detect'
import type { Row, RowChunk } from '../rows'
import { readBytes } from './bytes'
import { splitJsonArray } from './json-array'
import { invalidJson, isObject, kindOf, readJsonl } from './jsonl'
import type { ReadContext } from './reader'

/**
 * A JSON file: an array of rows (read piece by piece), an object that holds them (by column, by key, or under a field),
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

/** How the file starts: an array; an object on a line of its own with more behind it (JSON lines); or anything else. */
async function peek(path: string, file: string): Promise<'array' | 'lines' | 'value'> {
  const firstLine: Buffer[] = []
  let isRow = false
  let started = false
  for await (let piece of withoutMark(readBytes(path, file))) {
    if (!started) {
      const at = piece.findIndex((byte) => byte !== 32 && byte !== 10 && byte !== 13 && byte !== 9)
      if (at < 0) continue
      started = true
      if (piece[at] === 91) return 'array'
      piece = piece.subarray(at)
    }
    if (!isRow) {
      const end = piece.indexOf(10)
      firstLine.push(end < 0 ? piece : piece.subarray(0, end))
      if (end < 0) continue
      try {
        isRow = isObject(JSON.parse(Buffer.concat(firstLine).toString('utf8')))
      } catch {
        return 'value'
      }
      if (!isRow) return 'value'
      piece = piece.subarray(end)
    }
    if (piece.toString('latin1').trim().length > 0) return 'lines'
  }
  return 'value'
}

async function* readArray(path: string, { file, badRow }: ReadContext): AsyncGenerator<RowChunk<Row>> {
  for await (const elements of splitJsonArray(withoutMark(readBytes(path, file)), file)) {
    const rows: Row[] = []
    const lines: number[] = []
    for (const { text, line } of elements) {
      let value: unknown
      try {
        value = JSON.parse(text)
      } catch (error) {
        badRow(invalidJson(error, `${file}:${line}`))
        continue
      }
      if (!isObject(value)) {
        badRow(notARow(value, `${file}:${line}`))
        continue
      }
      rows.push(value)
      lines.push(line)
    }
    yield { rows, where: (index) => `${file}:${lines[index]}` }
  }
}

function notARow(value: unknown, where: string): TunesmithError {
  return new TunesmithError(`A row must be an object, not ${kindOf(value)}`, {
    code: 'invalid_data',
    where,
    remedy: 'Write each row as {"column": value, ...}',
  })
}

async function* readObject(path: string, context: ReadContext): AsyncGenerator<RowChunk<Row>> {
  const { file, options } = context
  const pieces: Buffer[] = []
  for await (const piece of withoutMark(readBytes(path, file))) pieces.push(piece)
  let value: unknown
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(Buffer.concat(pieces)))
  } catch (error) {
    throw invalidJson(error, file)
  }
  let name = ''
  if (options.field !== undefined) {
    name = options.field
    for (const key of options.field.split('.')) {
      if (!isObject(value) || !(key in value))
        throw new TunesmithError(`There is no field "${options.field}"`, {
          code: 'not_found',
          where: file,
          remedy: isObject(value) ? `The fields are: ${Object.keys(value).slice(0, 10).join(', ')}` : undefined,
        })
      value = value[key]
    }
  }
  yield rowsOf(value, name, context)
}

/** Turns a parsed value into rows by the layout asked for, or the one it has. */
function rowsOf(value: unknown, name: string, context: ReadContext): RowChunk<Row> {
  const { file, options, badRow } = context
  const inside = name ? `${file}, field "${name}"` : file
  if (Array.isArray(value)) {
    const rows: Row[] = []
    const numbers: number[] = []
    value.forEach((row, index) => {
      if (isObject(row)) {
        rows.push(row)
        numbers.push(index + 1)
      } else badRow(notARow(row, `${inside}, row ${index + 1}`))
    })
    return { rows, where: (index) => `${inside}, row ${numbers[index]}` }
  }
  if (!isObject(value)) throw notARow(value, inside)

  const entries = Object.entries(value)
  const lists = entries.filter(([, item]) => Array.isArray(item)) as [string, unknown[]][]
  const rowLists = lists.filter(([, list]) => list.length > 0 && list.every(isObject))
  const layout = options.layout ?? guessLayout(entries, lists, rowLists)
  if (layout === 'columns') return rowsOfColumns(lists, inside, entries.length)
  if (layout === 'keyed') return rowsOfKeys(entries, inside, options.keyColumn)
  if (rowLists.length === 1 && !detectColumns(Object.keys(value)))
    return rowsOf(rowLists[0]![1], name ? `${name}.${rowLists[0]![0]}` : rowLists[0]![0], context)
  if (rowLists.length > 1 && rowLists.length === entries.length)
    throw new TunesmithError(`Several fields hold rows: ${rowLists.map(([key]) => key).join(', ')}`, {
      code: 'invalid_data',
      where: inside,
      remedy: `Choose one: field: '${rowLists[0]![0]}'`,
    })
  return { rows: [value], where: () => inside }
}

function guessLayout(
  entries: [string, unknown][],
  lists: [string, unknown[]][],
  rowLists: [string, unknown[]][],
): 'rows' | 'columns' | 'keyed' {
  if (entries.length === 0) return 'rows'
  const allLists = lists.length === entries.length
  if (allLists && rowLists.length < lists.length && lists.every(([, list]) => list.length === lists[0]![1].length))
    return 'columns'
  if (detectColumns(entries.map(([key]) => key))) return 'rows'
  if (entries.every(([, item]) => isObject(item))) return 'keyed'
  return entries.every(([, item]) => item === null || typeof item !== 'object') ? 'keyed' : 'rows'
}

function rowsOfColumns(lists: [string, unknown[]][], where: string, keys: number): RowChunk<Row> {
  const length = lists[0]?.[1].length ?? 0
  const odd = lists.find(([, list]) => list.length !== length)
  if (odd || lists.length < keys)
    throw new TunesmithError(
      odd
        ? `Column "${odd[0]}" has ${odd[1].length} values, "${lists[0]![0]}" has ${length}`
        : 'A column is not a list',
      { code: 'invalid_data', where },
    )
  const rows = Array.from({ length }, (_, i) => Object.fromEntries(lists.map(([key, list]) => [key, list[i]])))
  return { rows, where: (index) => `${where}, row ${index + 1}` }
}

function rowsOfKeys(entries: [string, unknown][], where: string, keyColumn: string): RowChunk<Row> {
  const rows = entries.map(([key, item]): Row => {
    if (!isObject(item)) return { [keyColumn]: key, value: item }
    if (keyColumn in item)
      throw new TunesmithError(`The records have a column "${keyColumn}" already, which is to hold their keys`, {
        code: 'invalid_data',
        where: `${where}, key "${key}"`,
        remedy: "Name the key's column otherwise: keyColumn: 'key'",
      })
    return { [keyColumn]: key, ...item }
  })
  return { rows, where: (index) => `${where}, key "${entries[index]![0]}"` }
}
