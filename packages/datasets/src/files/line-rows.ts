import { invalidData, parseExactJson, type TunesmithError } from '@tunesmith/core'
import type { Row, RowChunk } from '../rows'
import { isObject, kindOf } from '../values'
import type { ReadContext } from './reader'

/** Rows of a file, gathered one by one, with the line each starts on. What is no row goes to the reader's `badRow`. */
export class LineRows {
  readonly #rows: Row[] = []
  readonly #lines: number[] = []

  constructor(readonly context: ReadContext) {}

  get length(): number {
    return this.#rows.length
  }

  push(row: Row, line: number): void {
    this.#rows.push(row)
    this.#lines.push(line)
  }

  /** A value that must be an object, or what a list of texts makes the column `column` of. */
  add(value: unknown, line: number, column?: string): void {
    if (isObject(value)) this.push(value, line)
    else if (column !== undefined && typeof value === 'string') this.push({ [column]: value }, line)
    else
      this.context.badRow(
        invalidData(`A row must be an object, not ${kindOf(value)}`, {
          where: `${this.context.file}:${line}`,
          remedy: 'Write each row as {"column": value, ...}',
        }),
      )
  }

  /** A row as JSON. */
  parse(text: string, line: number, column?: string): void {
    try {
      this.add(parseExactJson(text), line, column)
    } catch (error) {
      if (!(error instanceof SyntaxError)) throw error
      this.context.badRow(invalidJson(error, `${this.context.file}:${line}`))
    }
  }

  chunk(): RowChunk<Row> {
    return { rows: this.#rows, where: (index) => `${this.context.file}:${this.#lines[index]}` }
  }
}

export function invalidJson(error: unknown, where: string): TunesmithError {
  const { message, position } = error as SyntaxError & { position: number }
  return invalidData(`Not valid JSON: ${message}, at character ${position + 1} of the row`, {
    where,
    remedy: "Mend the row, or pass onError: 'skip' to leave such rows out",
    cause: error,
  })
}
