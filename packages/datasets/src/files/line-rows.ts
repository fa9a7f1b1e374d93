import { invalidData, type TunesmithError } from '@tunesmith/core'
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

  /** A value that must be an object. */
  add(value: unknown, line: number): void {
    if (isObject(value)) this.push(value, line)
    else
      this.context.badRow(
        invalidData(`A row must be an object, not ${kindOf(value)}`, {
          where: `${this.context.file}:${line}`,
          remedy: 'Write each row as {"column": value, ...}',
        }),
      )
  }

  /** A row as JSON. */
  parse(text: string, line: number): void {
    let value: unknown
    try {
      value = JSON.parse(text)
    } catch (error) {
      this.context.badRow(invalidJson(error, `${this.context.file}:${line}`))
      return
    }
    this.add(value, line)
  }

  chunk(): RowChunk<Row> {
    return { rows: this.#rows, where: (index) => `${this.context.file}:${this.#lines[index]}` }
  }
}

export function invalidJson(error: unknown, where: string): TunesmithError {
  const reason = (error as Error).message.replace(/\s*\(line \d+ column \d+\)/, '')
  return invalidData(`Not valid JSON: ${reason.length > 200 ? `${reason.slice(0, 200)}...` : reason}`, {
    where,
    remedy: "Mend the row, or pass onError: 'skip' to leave such rows out",
    cause: error,
  })
}
