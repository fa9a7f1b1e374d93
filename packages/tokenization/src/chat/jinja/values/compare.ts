import { isNumber } from './arithmetic'
import { spend, step } from './budget'
import { Dict, DictView, hashOf, Namespace } from './dict'
import { TemplateFault, Unsupported } from './fault'
import { iterable } from './iterate'
import { compareText } from './text'
import { isText, PyObject, Range, Tuple, textOf, typeName, Undefined, type Value } from './value'

/** A number for JavaScript's comparison, which is exact between numbers and bigints. */
const plain = (value: Value) => (typeof value === 'bigint' ? value : Number(value))

/** `a == b`. */
export function equals(a: Value, b: Value): boolean {
  if (typeof a === 'string' && typeof b === 'string') {
    spend(Math.min(a.length, b.length))
    return a === b
  }
  step()
  // biome-ignore lint/suspicious/noDoubleEquals: a bigint equals the number of the same value only so
  if (isNumber(a)) return isNumber(b) && plain(a) == plain(b)
  if (isText(a)) return isText(b) && textOf(a) === textOf(b)
  if (Array.isArray(a)) return Array.isArray(b) && equalItems(a, b)
  if (a instanceof Tuple) return b instanceof Tuple && equalItems(a.items, b.items)
  if (a instanceof Dict) return b instanceof Dict && equalDicts(a, b)
  if (a instanceof Undefined) return b instanceof Undefined
  if (a instanceof Range) return b instanceof Range && hashOf(a) === hashOf(b)
  if (a instanceof DictView && b instanceof DictView && a.kind !== 'values' && b.kind !== 'values')
    return a.len() === b.len() && a.iterate().every((item) => contains(b, item))
  return a === b
}

/** Items of containers are equal to themselves first, even NaN. */
const same = (a: Value, b: Value) => a === b || equals(a, b)

function equalItems(a: readonly Value[], b: readonly Value[]): boolean {
  return a.length === b.length && a.every((item, i) => same(item, b[i]))
}

function equalDicts(a: Dict, b: Dict): boolean {
  if (a.size !== b.size) return false
  for (const [key, value] of a.items()) {
    const other = b.get(key)
    if (other === undefined || !same(value, other)) return false
  }
  return true
}

export type Order = '<' | '<=' | '>' | '>='

function ordered<Operand extends number | bigint>(a: Operand | bigint, order: Order, b: Operand | bigint): boolean {
  if (order === '<') return a < b
  if (order === '<=') return a <= b
  return order === '>' ? a > b : a >= b
}

/** `a < b` and its like. */
export function inOrder(a: Value, order: Order, b: Value): boolean {
  step()
  if (isNumber(a) && isNumber(b)) return ordered(plain(a) as number, order, plain(b) as number)
  if (isText(a) && isText(b)) {
    spend(Math.min(textOf(a).length, textOf(b).length))
    return ordered(compareText(textOf(a), textOf(b)), order, 0)
  }
  const [left, right] = [sequence(a), sequence(b)]
  if (left && right && Array.isArray(a) === Array.isArray(b)) {
    const shorter = Math.min(left.length, right.length)
    for (let i = 0; i < shorter; i++) if (!same(left[i], right[i])) return inOrder(left[i], order, right[i])
    return ordered(left.length, order, right.length)
  }
  if (a instanceof Undefined) return a.fail()
  if (b instanceof Undefined) return b.fail()
  if (a instanceof DictView && b instanceof DictView)
    throw new Unsupported('comparing views of dicts as sets is not supported')
  throw new TemplateFault(`'${order}' not supported between instances of '${typeName(a)}' and '${typeName(b)}'`)
}

function sequence(value: Value): readonly Value[] | undefined {
  return Array.isArray(value) ? value : value instanceof Tuple ? value.items : undefined
}

/** `item in container`. */
export function contains(container: Value, item: Value): boolean {
  step()
  if (isText(container)) {
    if (!isText(item)) throw new TemplateFault(`'in <string>' requires string as left operand, not ${typeName(item)}`)
    spend(textOf(container).length)
    return textOf(container).includes(textOf(item))
  }
  if (container instanceof Dict) return container.has(item)
  if (container instanceof DictView && container.kind === 'keys') return container.dict.has(item)
  const items = container instanceof Namespace ? undefined : iterable(container)
  if (items === undefined || (container instanceof PyObject && container.iterate() === undefined))
    throw new TemplateFault(`argument of type '${typeName(container)}' is not iterable`)
  for (const candidate of items) if (same(candidate, item)) return true
  return false
}

/** Sorts as Python's `sorted` does: stable, with nothing but `<`. */
export function sorted<Item>(items: readonly Item[], key: (item: Item) => Value, reverse = false): Item[] {
  const keyed = items.map((item) => ({ item, key: key(item) }))
  const less = (a: Value, b: Value) => inOrder(a, '<', b)
  keyed.sort((a, b) => (less(a.key, b.key) ? -1 : less(b.key, a.key) ? 1 : 0) * (reverse ? -1 : 1))
  return keyed.map(({ item }) => item)
}
