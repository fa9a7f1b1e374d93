import { parseExactJson } from '@tunesmith/core'
import type { LineRows } from './line-rows'

interface Line {
  text: string
  line: number
}

const [QUOTE, BACKSLASH] = [34, 92]
const [ARRAY, END_ARRAY, OBJECT, END_OBJECT] = [91, 93, 123, 125]

/**
 * Rows of JSON lines, as pyarrow reads them: usually an object a line, but an object may also go over several lines,
 * and several may stand on one. Of a row that does not end, the first line is the bad row, and each line behind it is read
 * for itself, so that one cut row costs no others.
 */
export class JsonRows {
  /** The lines of an object that has not ended. */
  #open: Line[] = []
  #depth = 0

  push(text: string, line: number, rows: LineRows): void {
    if (text.trim() === '') return
    // Behind a whole value no brace can follow within an object, so the open one was cut off.
    const last = this.#open.at(-1)?.text.trimEnd().at(-1)
    if (last !== undefined && /^\s*\{/.test(text) && !'[,:'.includes(last)) this.end(rows)
    if (this.#open.length === 0 && addIfJson(text, line, rows)) return
    this.#cut(text, line, rows)
  }

  /** Lays down what is open when the file or the row ends. */
  end(rows: LineRows): void {
    for (const { text, line } of this.#take()) rows.parse(text, line)
  }

  /** Ends a row behind each bracket that closes the outermost. */
  #cut(text: string, line: number, rows: LineRows): void {
    let start = 0
    for (let i = 0; i < text.length; i++) {
      const code = text.charCodeAt(i)
      if (code === QUOTE) {
        i = endOfText(text, i)
        if (i >= 0) continue
        // A text cannot go over several lines, so neither does this row.
        this.#open.push({ text: text.slice(start), line })
        this.end(rows)
        return
      }
      if (code === OBJECT || code === ARRAY) this.#depth++
      else if ((code === END_OBJECT || code === END_ARRAY) && --this.#depth <= 0) {
        this.#open.push({ text: text.slice(start, i + 1), line })
        start = i + 1
        const lines = this.#take()
        const whole = lines.map((part) => part.text).join('\n')
        if (!addIfJson(whole, lines[0]!.line, rows)) for (const part of lines) rows.parse(part.text, part.line)
      }
    }
    if (text.slice(start).trim() === '') return
    this.#open.push({ text: text.slice(start), line })
    if (this.#depth === 0) this.end(rows)
  }

  #take(): Line[] {
    const lines = this.#open
    this.#open = []
    this.#depth = 0
    return lines
  }
}

/** The quote that ends the text beginning at `start`, or -1. */
function endOfText(text: string, start: number): number {
  for (let end = text.indexOf('"', start + 1); end >= 0; end = text.indexOf('"', end + 1)) {
    let slashes = 0
    while (text.charCodeAt(end - 1 - slashes) === BACKSLASH) slashes++
    if (slashes % 2 === 0) return end
  }
  return -1
}

function addIfJson(text: string, line: number, rows: LineRows): boolean {
  let value: unknown
  try {
    value = parseExactJson(text)
  } catch {
    return false
  }
  rows.add(value, line)
  return true
}
