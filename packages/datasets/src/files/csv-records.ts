import { constants } from 'node:buffer'
import { invalidFile, unsupported } from '@tunesmith/core'

export interface CsvRecord {
  fields: string[]
  /** The line it starts on, from 1. */
  line: number
}

const [TAB, LF, CR, SPACE, QUOTE] = [9, 10, 13, 32, 34]

/**
 * Cuts CSV text into records as pandas' C parser does: a field that begins with a quote goes to the quote that ends it, and
 * what follows up to the delimiter belongs to it as it stands, quotes too; a quote elsewhere is a character like any other. Lines end at
 * LF, CRLF or CR; empty ones, and those of blanks alone, are passed over.
 */
export class CsvRecords {
  readonly #delimiter: number
  #fields: string[] = []
  /** The part of the current field that is known. */
  #field = ''
  /** `start` of a line, `field` start, `plain` text, inside `quoted` text, after its `closed` quote. */
  #state: 'start' | 'field' | 'plain' | 'quoted' | 'closed' = 'start'
  /** Blanks at the start of a line, which may turn out to be all of it. */
  #blanks = ''
  #afterCr = false
  /** Whether the last character within quotes was a CR: a LF behind it ends no further line. */
  #quotedCr = false
  #line = 1
  #startLine = 1

  constructor(
    delimiter: string,
    readonly file: string,
  ) {
    this.#delimiter = delimiter.charCodeAt(0)
  }

  /** The records that end in a piece of the text. */
  push(text: string): CsvRecord[] {
    const records: CsvRecord[] = []
    for (let i = 0; i < text.length; ) {
      const code = text.charCodeAt(i)
      if (this.#afterCr) {
        this.#afterCr = false
        if (code === LF) {
          i++
          continue
        }
      }
      if (this.#state === 'quoted') i = this.#quoted(text, i)
      else if (code === LF || code === CR) {
        this.#afterCr = code === CR
        this.#endLine(records)
        i++
      } else if (this.#state === 'start') i = this.#start(code, text, i)
      else if (code === this.#delimiter) {
        this.#endField()
        i++
      } else if (this.#state === 'field' && code === QUOTE) {
        this.#state = 'quoted'
        i++
      } else if (this.#state === 'closed' && code === QUOTE) {
        this.#add('"')
        this.#state = 'quoted'
        i++
      } else i = this.#plain(text, i)
    }
    return records
  }

  /** The record that ends with the file. */
  end(): CsvRecord[] {
    if (this.#state === 'quoted')
      throw invalidFile('A quoted field does not end', {
        where: `${this.file}:${this.#startLine}`,
        remedy: 'Close the quote, or write a quote inside a quoted field twice',
      })
    const records: CsvRecord[] = []
    if (this.#state !== 'start') this.#endLine(records)
    return records
  }

  #start(code: number, text: string, i: number): number {
    if ((code === SPACE || code === TAB) && code !== this.#delimiter) {
      this.#blanks += text[i]
      return i + 1
    }
    this.#startLine = this.#line
    this.#field = this.#blanks
    this.#state = this.#blanks === '' ? 'field' : 'plain'
    this.#blanks = ''
    return i
  }

  #quoted(text: string, start: number): number {
    const end = text.indexOf('"', start)
    const part = text.slice(start, end < 0 ? text.length : end)
    this.#add(part)
    for (let at = 0; at < part.length; at++) {
      const code = part.charCodeAt(at)
      if (code === CR || (code === LF && !this.#quotedCr)) this.#line++
      this.#quotedCr = code === CR
    }
    if (end < 0) return text.length
    this.#state = 'closed'
    return end + 1
  }

  #plain(text: string, start: number): number {
    let end = start + 1
    for (; end < text.length; end++) {
      const code = text.charCodeAt(end)
      if (code === this.#delimiter || code === LF || code === CR) break
    }
    this.#add(text.slice(start, end))
    this.#state = 'plain'
    return end
  }

  #add(part: string): void {
    if (this.#field.length + part.length > constants.MAX_STRING_LENGTH)
      throw unsupported('A field is longer than 512 MB', {
        where: `${this.file}:${this.#startLine}`,
        remedy: 'Check whether a quote is never closed; else cut the text into several rows',
      })
    this.#field += part
  }

  #endField(): void {
    this.#fields.push(this.#field)
    this.#field = ''
    this.#state = 'field'
  }

  #endLine(records: CsvRecord[]): void {
    if (this.#state !== 'start') {
      this.#endField()
      records.push({ fields: this.#fields, line: this.#startLine })
      this.#fields = []
      this.#state = 'start'
    }
    this.#blanks = ''
    this.#line++
  }
}
