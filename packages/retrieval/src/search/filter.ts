import { invalidOptions } from '@tunesmith/core'
import type { FieldValue } from '../documents/document'
import { fieldColumn } from '../index/chunk-table'
import { quoted } from '../index/lance'
import type { IndexSettings } from '../index/settings'

/** What a field must be: a value, one of several, or within bounds. */
export type Condition = FieldValue | readonly FieldValue[] | { from?: number | string; to?: number | string }
/** Conditions on the index's fields, and on `document` and `source`; all must hold. */
export type Where = Readonly<Record<string, Condition>>

/** @throws {TunesmithError} `invalid_options` for a field that the index does not have. */
export function filterOf(where: Where, { fields }: Pick<IndexSettings, 'fields'>): string | undefined {
  const parts = Object.entries(where).map(([name, condition]) => {
    const own = name === 'document' || name === 'source'
    if (!own && !Object.hasOwn(fields, name))
      throw invalidOptions(`The index has no field "${name}"`, {
        where: 'where',
        remedy: `Its fields are document, source${Object.keys(fields).map((each) => `, ${each}`)}; name others in \`fields\` when you make it`,
      })
    const column = own ? name : fieldColumn(name)
    if (Array.isArray(condition))
      return condition.length > 0 ? `${column} IN (${condition.map(literal).join(', ')})` : 'false'
    if (typeof condition === 'object') {
      const { from, to } = condition as { from?: number | string; to?: number | string }
      return [from !== undefined && `${column} >= ${literal(from)}`, to !== undefined && `${column} <= ${literal(to)}`]
        .filter(Boolean)
        .join(' AND ')
    }
    return `${column} = ${literal(condition as FieldValue)}`
  })
  return parts.filter((part) => part !== '').join(' AND ') || undefined
}

function literal(value: FieldValue): string {
  if (typeof value === 'string') return quoted(value)
  if (typeof value === 'number' && !Number.isFinite(value))
    throw invalidOptions(`A field cannot be compared with ${value}`, { where: 'where' })
  return String(value)
}
