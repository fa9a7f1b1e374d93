import {
  copyJsonSource,
  invalidData,
  invalidOptions,
  jsonNumberText,
  parseExactJson,
  stringifyJson,
} from '@tunesmith/core'
import type { Row } from '../rows'

export function renameColumns(names: Record<string, string>, columns: readonly string[]) {
  const after = columns.map((column) => (Object.hasOwn(names, column) ? names[column]! : column))
  const twice = after.find((name, i) => after.indexOf(name) !== i)
  if (twice !== undefined) throw invalidOptions(`Two columns would be named "${twice}"`, { where: 'renameColumns' })
  const nameOf = (key: string) => (Object.hasOwn(names, key) ? names[key]! : key)
  return (row: unknown): Row =>
    copyJsonSource(
      row as Row,
      Object.fromEntries(Object.entries(row as Row).map(([key, value]) => [nameOf(key), value])),
      nameOf,
    )
}

export function dropColumns(names: readonly string[]) {
  const dropped = new Set(names)
  return (row: unknown): Row =>
    copyJsonSource(row as Row, Object.fromEntries(Object.entries(row as Row).filter(([key]) => !dropped.has(key))))
}

export function keepColumns(names: readonly string[]) {
  return (row: unknown): Row =>
    copyJsonSource(row as Row, Object.fromEntries(names.map((name) => [name, (row as Row)[name] ?? null])))
}

export type CastType = 'string' | 'number' | 'integer' | 'boolean' | 'date' | 'json'

const BOOLEANS: Record<string, boolean> = { true: true, false: false, '1': true, '0': false, yes: true, no: false }

/** The value, a number's with its text in the file, as the type; undefined when it cannot be. */
function castValue(value: unknown, type: CastType, text: string | undefined): unknown {
  switch (type) {
    case 'string':
      if (value instanceof Date) return value.toISOString()
      return typeof value === 'object' ? stringifyJson(value) : (text ?? String(value))
    case 'number':
    case 'integer': {
      if (typeof value === 'string' && value.trim() === '') return undefined
      const number = value instanceof Date ? value.getTime() : Number(value)
      return Number.isNaN(number) || (type === 'integer' && !Number.isInteger(number)) ? undefined : number
    }
    case 'boolean':
      return typeof value === 'boolean' ? value : BOOLEANS[String(value).trim().toLowerCase()]
    case 'date': {
      const date = new Date(value as string | number | Date)
      return Number.isNaN(date.getTime()) ? undefined : date
    }
    case 'json':
      try {
        return typeof value === 'string' ? parseExactJson(value) : value
      } catch {
        return undefined
      }
  }
}

/** The row with the named columns cast; null and missing values stay as they are. */
export function castRow(row: Row, types: Record<string, CastType>, where: () => string): Row {
  const cast = copyJsonSource(row, { ...row })
  for (const [column, type] of Object.entries(types)) {
    const value = row[column]
    if (value === undefined || value === null) continue
    const result = castValue(value, type, jsonNumberText(row, column))
    if (result === undefined) {
      const shown = stringifyJson(value)
      throw invalidData(`${shown.length > 80 ? `${shown.slice(0, 80)}...` : shown} is no ${type}`, {
        where: `${where()}, column "${column}"`,
      })
    }
    cast[column] = result
  }
  return cast
}
