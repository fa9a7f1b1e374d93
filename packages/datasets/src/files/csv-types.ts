export type ColumnType = 'boolean' | 'integer' | 'number' | 'string'

/** The texts pandas' `read_csv` takes for missing values. */
export const PANDAS_NULLS = [
  ...['', '#N/A', '#N/A N/A', '#NA', '-1.#IND', '-1.#QNAN', '-NaN', '-nan', '1.#IND', '1.#QNAN', '<NA>', 'N/A', 'NA'],
  ...['NULL', 'NaN', 'None', 'n/a', 'nan', 'null'],
]

const INTEGER = /^\s*[+-]?\d+\s*$/
const NUMBER = /^\s*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?\s*$/
const INFINITY = /^\s*[+-]?inf(inity)?\s*$/i
const BOOLEAN = /^(true|false)$/i

/** The narrowest type that every value of a column fits. */
export class TypeGuess {
  #possible = new Set<ColumnType>(['boolean', 'integer', 'number'])
  #seen = false

  constructor(readonly nulls: ReadonlySet<string>) {}

  see(field: string) {
    if (this.#possible.size === 0 || this.nulls.has(field)) return
    this.#seen = true
    if (!BOOLEAN.test(field)) this.#possible.delete('boolean')
    const integer = INTEGER.test(field) && Number.isSafeInteger(Number(field))
    if (!integer) this.#possible.delete('integer')
    if (!integer && !((NUMBER.test(field) && !INTEGER.test(field)) || INFINITY.test(field)))
      this.#possible.delete('number')
  }

  get type(): ColumnType {
    const [narrowest] = this.#possible
    return this.#seen && narrowest ? narrowest : 'string'
  }
}

export function convertField(field: string, type: ColumnType): unknown {
  if (type === 'string') return field
  if (type === 'boolean') return field.toLowerCase() === 'true'
  if (!INFINITY.test(field)) return Number(field)
  return field.trim().startsWith('-') ? Number.NEGATIVE_INFINITY : Number.POSITIVE_INFINITY
}
