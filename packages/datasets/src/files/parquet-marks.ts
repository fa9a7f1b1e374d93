import { type JsonSource, parseExactJson, setJsonSource } from '@tunesmith/core'
import type { ParquetColumn, ValueShape } from './parquet-decoder'

/** What is known of the text of objects with these fields; undefined when it is nothing. */
export function sourceOfFields(fields: readonly ParquetColumn[], keys?: readonly string[]): JsonSource | undefined {
  const floats = new Set(fields.flatMap(({ name, shape }) => (shape && 'float' in shape ? [name] : [])))
  const names = keys ?? fields.map(({ name }) => name)
  const reordered = names.some((name) => /^\d+$/.test(name))
  if (floats.size === 0 && !reordered) return undefined
  return { ...(floats.size > 0 && { floats }), ...(reordered && { keys: names }) }
}

/** Gives the objects in values of a shape their sources, so that a whole floating-point number prints as one; reads JSON. */
export function createMarker(shape: ValueShape): ((value: unknown) => unknown) | undefined {
  if ('float' in shape) return undefined
  if ('json' in shape) return (value) => (typeof value === 'string' ? parseExactJson(value) : value)
  const mark = 'list' in shape ? list(shape.list) : 'pair' in shape ? pairs(shape.pair) : struct(shape)
  return (value) => {
    if (typeof value === 'object' && value !== null) mark(value)
    return value
  }
}

const FLOATS: JsonSource = { floats: true }

function list(item: ValueShape) {
  const mark = createMarker(item)
  return (value: object) => {
    const items = value as unknown[]
    if ('float' in item) setJsonSource(items, FLOATS)
    else if (mark) for (let i = 0; i < items.length; i++) items[i] = mark(items[i])
  }
}

function pairs(pair: [ValueShape | undefined, ValueShape | undefined]) {
  const marks = pair.map((shape) => shape && createMarker(shape))
  const floats = new Set(pair.flatMap((shape, i) => (shape && 'float' in shape ? [String(i)] : [])))
  return (value: object) => {
    for (const entry of value as unknown[][]) {
      for (const [i, mark] of marks.entries()) if (mark) entry[i] = mark(entry[i])
      if (floats.size > 0) setJsonSource(entry, { floats })
    }
  }
}

function struct({ fields, keys }: { fields: Record<string, ValueShape>; keys?: string[] }) {
  const entries = Object.entries(fields).map(([name, shape]) => ({ name, shape, mark: createMarker(shape) }))
  const source = sourceOfFields(entries, keys)
  return (value: object) => {
    const object = value as Record<string, unknown>
    for (const { name, mark } of entries) if (mark) object[name] = mark(object[name])
    if (source) setJsonSource(object, source)
  }
}
