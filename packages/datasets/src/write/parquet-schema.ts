import { invalidData } from '@tunesmith/core'
import type { SchemaElement } from 'hyparquet'

/** What a column's values have in common: the narrowest Parquet type that holds every one of them exactly. */
export type Shape =
  | { kind: 'leaf'; element: Partial<SchemaElement>; toStored: (value: unknown) => unknown }
  | { kind: 'list'; item: Shape }
  | { kind: 'struct'; fields: [string, Shape][] }

const same = (value: unknown) => value
const leaf = (element: Partial<SchemaElement>, toStored: (value: unknown) => unknown = same): Shape => ({
  kind: 'leaf',
  element,
  toStored,
})
const TEXT = leaf({ type: 'BYTE_ARRAY', converted_type: 'UTF8' })

const isInteger = (value: unknown) =>
  typeof value === 'bigint' || (Number.isSafeInteger(value) && !Object.is(value, -0))
const isList = (value: unknown) => Array.isArray(value) || (ArrayBuffer.isView(value) && !(value instanceof Uint8Array))
const items = (list: unknown): unknown[] => (Array.isArray(list) ? list : Array.from(list as ArrayLike<unknown>))
const nameOf = (value: unknown) => (isList(value) ? 'list' : value instanceof Date ? 'date' : typeof value)

/**
 * Finds the shape of a column's values, lists and objects included.
 *
 * @throws {TunesmithError} `invalid_data` when values are of several types.
 */
export function shapeOf(values: readonly unknown[], column: string): Shape {
  const present = values.filter((value) => value !== null && value !== undefined)
  const every = (test: (value: unknown) => boolean) => present.every(test)
  if (every((value) => typeof value === 'string')) return TEXT
  if (every((value) => typeof value === 'boolean')) return leaf({ type: 'BOOLEAN' })
  if (every(isInteger)) return leaf({ type: 'INT64' }, (value) => BigInt(value as number))
  if (every((value) => typeof value === 'number')) return leaf({ type: 'DOUBLE' })
  if (every((value) => value instanceof Date)) return leaf({ type: 'INT64', converted_type: 'TIMESTAMP_MILLIS' })
  if (every((value) => value instanceof Uint8Array)) return leaf({ type: 'BYTE_ARRAY' })
  if (every(isList)) return { kind: 'list', item: shapeOf(present.flatMap(items), `${column}[]`) }
  const types = [...new Set(present.map(nameOf))]
  if (types.length > 1 || types[0] !== 'object')
    throw invalidData(`Column "${column}" mixes ${types.join(' and ')}, which Parquet cannot hold`, {
      remedy: `Make the column one type first: dataset.cast({ ${JSON.stringify(column)}: 'string' })`,
    })
  const objects = present as Record<string, unknown>[]
  const keys = new Set(objects.flatMap((object) => Object.keys(object)))
  // An object without keys has no place in a Parquet schema.
  if (keys.size === 0) return leaf({ type: 'BYTE_ARRAY', converted_type: 'JSON' })
  const fields = [...keys].map((key): [string, Shape] => [
    key,
    shapeOf(
      objects.map((object) => object[key]),
      `${column}.${key}`,
    ),
  ])
  return { kind: 'struct', fields }
}

/** The schema elements of a column, depth first; everything may be null. Lists are written in the three-level form. */
export function schemaOf(name: string, shape: Shape): SchemaElement[] {
  const repetition_type = 'OPTIONAL'
  if (shape.kind === 'leaf') return [{ name, repetition_type, ...shape.element }]
  if (shape.kind === 'list')
    return [
      { name, repetition_type, converted_type: 'LIST', logical_type: { type: 'LIST' }, num_children: 1 },
      { name: 'list', repetition_type: 'REPEATED', num_children: 1 },
      ...schemaOf('element', shape.item),
    ]
  return [
    { name, repetition_type, num_children: shape.fields.length },
    ...shape.fields.flatMap(([key, field]) => schemaOf(key, field)),
  ]
}

/** A value as the writer takes it: integers as bigint, all fields of an object there, null for what is missing. */
export function toStored(shape: Shape, value: unknown): unknown {
  if (value === null || value === undefined) return null
  if (shape.kind === 'leaf') return shape.toStored(value)
  if (shape.kind === 'list') return items(value).map((item) => toStored(shape.item, item))
  const object = value as Record<string, unknown>
  return Object.fromEntries(shape.fields.map(([key, field]) => [key, toStored(field, object[key])]))
}
