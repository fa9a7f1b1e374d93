import { isUtf8 } from 'node:buffer'
import { invalidFile } from '@tunesmith/core'

/** The text of one element of an array or object, and the line it starts on, from 1. */
export interface JsonElement {
  /** Its key, in an object. */
  key?: string
  text: string
  line: number
}

const [QUOTE, BACKSLASH, COMMA, LF] = [34, 92, 44, 10]
export const [ARRAY, END_ARRAY, OBJECT, END_OBJECT] = [91, 93, 123, 125]
export const isSpace = (byte: number) => byte === 32 || byte === LF || byte === 13 || byte === 9

/** The key in front of a value, and the value's text; undefined when that is not how it starts. */
function splitKey(text: string): { key: string; text: string } | undefined {
  const [head, quoted] = /^("(?:[^"\\]|\\.)*")\s*:/.exec(text) ?? []
  if (head === undefined) return undefined
  try {
    return { key: JSON.parse(quoted!), text: text.slice(head.length) }
  } catch {
    return undefined
  }
}

/**
 * Cuts a JSON array or object, byte by byte, into the texts of its elements, so that a file of any size can be read with
 * only the element at hand in memory, and keys keep the order of the file. The elements are not checked here: that is
 * `JSON.parse`'s part.
 *
 * @param pieces the file from its first bracket on (white space before it is allowed).
 */
export async function* splitJson(pieces: AsyncIterable<Buffer>, file: string): AsyncGenerator<JsonElement[]> {
  let close = 0
  let line = 1
  let depth = 0 // 1 is inside the outer brackets
  let inString = false
  let escaped = false
  let closed = false
  let afterComma = false
  let pending: Buffer[] = [] // the part of the current element that lies in earlier pieces
  let startLine = 0 // 0 while between elements

  const fail = (what: string) =>
    invalidFile(what, {
      where: `${file}:${line}`,
      remedy: 'Check the file with a JSON validator; it may have been cut short',
    })

  for await (const piece of pieces) {
    const elements: JsonElement[] = []
    let start = 0
    const finish = (end: number) => {
      const last = piece.subarray(start, end)
      const bytes = pending.length > 0 ? Buffer.concat([...pending, last]) : last
      pending = []
      if (!isUtf8(bytes)) throw fail('The text is not UTF-8')
      const text = bytes.toString('utf8')
      const pair = close === END_OBJECT ? splitKey(text) : { text }
      if (!pair) throw fail('A value has no key')
      elements.push({ ...pair, line: startLine })
      startLine = 0
    }
    for (let i = 0; i < piece.length; i++) {
      const byte = piece[i]!
      if (inString) {
        if (escaped) escaped = false
        else if (byte === BACKSLASH) escaped = true
        else if (byte === QUOTE) inString = false
        continue
      }
      if (byte === LF) line++
      if (isSpace(byte)) continue
      if (closed) throw fail('There is text after the end of the JSON value')
      if (depth === 0) {
        if (byte !== ARRAY && byte !== OBJECT) throw fail('The file holds neither an array nor an object')
        close = byte === ARRAY ? END_ARRAY : END_OBJECT
        depth = 1
        continue
      }
      if (depth === 1 && (byte === COMMA || byte === close)) {
        if (startLine > 0) finish(i)
        else if (byte === COMMA || afterComma) throw fail('An element is missing beside a comma')
        afterComma = byte === COMMA
        closed = byte === close
        continue
      }
      if (startLine === 0) {
        startLine = line
        start = i
        afterComma = false
      }
      if (byte === QUOTE) inString = true
      else if (byte === ARRAY || byte === OBJECT) depth++
      else if (byte === END_ARRAY || byte === END_OBJECT) {
        depth--
        if (depth < 1) throw fail('A bracket closes what was not opened')
      }
    }
    if (startLine > 0) pending.push(piece.subarray(start))
    if (elements.length > 0) yield elements
  }
  if (!closed) throw fail('The JSON value does not end')
}
