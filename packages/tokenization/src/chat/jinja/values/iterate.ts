import { spend, take } from './budget'
import { Dict, DictView } from './dict'
import { TemplateFault } from './fault'
import { lengthOf } from './text'
import { isText, PyIterator, PyObject, Range, Tuple, textOf, typeName, Undefined, type Value } from './value'

/** What a `for` goes over; undefined for what Python cannot iterate. */
export function iterable(value: Value): Iterable<Value> | undefined {
  if (Array.isArray(value)) return value
  if (isText(value)) return characters(textOf(value), typeof value === 'string' ? undefined : value)
  if (value instanceof Tuple) return value.items
  if (value instanceof Undefined) return []
  return value instanceof PyObject ? value.iterate() : undefined
}

/** Characters; those of Markup are plain text, as Python's str iterator gives them. */
function characters(text: string, _markup: Value | undefined): Value[] {
  take(8 * text.length)
  return Array.from(text)
}

export function iterate(value: Value): Iterable<Value> {
  const items = iterable(value)
  if (items === undefined) throw new TemplateFault(`'${typeName(value)}' object is not iterable`)
  return items
}

/** `list(value)`; the same array for a list, since lists never change. */
export function listOf(value: Value): readonly Value[] {
  const items = iterate(value)
  if (Array.isArray(items)) return items
  const list: Value[] = []
  for (const item of items) {
    take(8)
    list.push(item)
  }
  return list
}

/** `len(value)`; undefined for what has no length. */
export function lengthIf(value: Value): number | undefined {
  if (isText(value)) {
    const text = textOf(value)
    spend(text.length)
    return lengthOf(text)
  }
  if (Array.isArray(value)) return value.length
  if (value instanceof Tuple) return value.items.length
  if (value instanceof Undefined) return 0
  return value instanceof PyObject ? value.len() : undefined
}

export function length(value: Value): number {
  const result = lengthIf(value)
  if (result === undefined) throw new TemplateFault(`object of type '${typeName(value)}' has no len()`)
  return result
}

/** `reversed(value)`. */
export function reversed(value: Value): PyIterator {
  const kind = reverseKind(value)
  if (kind === undefined) throw new TemplateFault(`'${typeName(value)}' object is not reversible`)
  return new PyIterator(kind, [...listOf(value)].reverse())
}

/** The type of the iterator that goes over a value backwards; undefined for what cannot be. */
function reverseKind(value: Value): string | undefined {
  if (Array.isArray(value)) return 'list_reverseiterator'
  if (value instanceof Range) return 'range_iterator'
  if (value instanceof Dict) return 'dict_reversekeyiterator'
  if (value instanceof DictView) return `dict_reverse${value.kind.replace(/s$/, '')}iterator`
  return value instanceof PyObject || lengthIf(value) === undefined ? undefined : 'reversed'
}

/** The values for `count` targets. */
export function unpack(value: Value, count: number): readonly Value[] {
  const items = iterable(value)
  if (items === undefined) throw new TemplateFault(`cannot unpack non-iterable ${typeName(value)} object`)
  const list = Array.isArray(items) ? (items as readonly Value[]) : listOf(value)
  if (list.length > count) throw new TemplateFault(`too many values to unpack (expected ${count})`)
  if (list.length < count)
    throw new TemplateFault(`not enough values to unpack (expected ${count}, got ${list.length})`)
  return list
}
