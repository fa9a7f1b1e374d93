import { attributeOf, itemOf, ownAttribute, sliceOf } from '../methods/access'
import { floorDivide, modulo } from '../values/arithmetic'
import { take } from '../values/budget'
import { equals, inOrder, sorted } from '../values/compare'
import { Dict, hashOf } from '../values/dict'
import { TemplateFault } from '../values/fault'
import { iterable, iterate, length, lengthIf, listOf, reversed } from '../values/iterate'
import { add } from '../values/operators'
import {
  Group,
  indexOf,
  isText,
  PyIterator,
  Tuple,
  textOf,
  truthy,
  typeName,
  Undefined,
  type Value,
} from '../values/value'
import { attributeGetter, attributesGetter, type Filter, filter, ignoreCase } from './filter'

type Args = readonly (Value | undefined)[]

function first(value: Value): Value {
  for (const item of iterate(value)) return item
  return new Undefined(() => 'No first item, sequence was empty.')
}

function last(value: Value): Value {
  const item = reversed(value).next()
  return item === undefined ? new Undefined(() => 'No last item, sequence was empty.') : item
}

function random(value: Value): Value {
  const count = length(value)
  if (count === 0) return new Undefined(() => 'No random item, sequence was empty.')
  return itemOf(value, Math.floor(Math.random() * count))
}

function reverse(value: Value): Value {
  if (isText(value)) return sliceOf(value, null, null, -1)
  if (iterable(value) === undefined) throw new TemplateFault('argument must be iterable')
  return value instanceof PyIterator || lengthIf(value) === undefined ? [...listOf(value)].reverse() : reversed(value)
}

function* batches(value: Value, size: Value, fill: Value): Generator<Value, void, undefined> {
  let batch: Value[] = []
  for (const item of iterate(value)) {
    if (equals(batch.length, size)) {
      yield batch
      batch = []
    }
    take(8)
    batch.push(item)
  }
  if (batch.length === 0) return
  if (fill !== null && inOrder(batch.length, '<', size)) {
    const missing = indexOf(size) - batch.length
    take(8 * missing)
    for (let i = 0; i < missing; i++) batch.push(fill)
  }
  yield batch
}

function* slices(value: Value, count: Value, fill: Value): Generator<Value, void, undefined> {
  const items = listOf(value)
  const each = indexOf(floorDivide(items.length, count) ?? badCount(count))
  const longer = indexOf(modulo(items.length, count)!)
  let start = 0
  for (let i = 0; i < indexOf(count); i++) {
    const end = start + each + Number(i < longer)
    take(8 * (end - start + 1))
    yield fill !== null && i >= longer ? [...items.slice(start, end), fill] : items.slice(start, end)
    start = end
  }
}

function badCount(count: Value): never {
  if (count instanceof Undefined) count.fail()
  throw new TemplateFault(`the number of slices cannot be a ${typeName(count)}`)
}

const postprocess = (caseSensitive: Value | undefined) =>
  caseSensitive !== undefined && truthy(caseSensitive) ? undefined : ignoreCase

function sort(value: Value, [reverse = false, caseSensitive, attribute]: Args): Value {
  const list = listOf(value)
  take(16 * list.length)
  return sorted(list, attributesGetter(attribute ?? null, postprocess(caseSensitive)), truthy(reverse))
}

function dictSort(value: Value, [caseSensitive, by = 'key', reverse = false]: Args): Value {
  const place = equals(by, 'key') ? 0 : equals(by, 'value') ? 1 : undefined
  if (place === undefined) throw new TemplateFault('You can only sort by either "key" or "value"')
  if (!(value instanceof Dict)) {
    if (value instanceof Undefined) value.fail()
    throw new TemplateFault(`'${typeName(value)}' object has no attribute 'items'`)
  }
  const key = postprocess(caseSensitive) ?? ((item: Value) => item)
  take(16 * value.size)
  return sorted(value.items(), (pair) => key(pair[place]), truthy(reverse)).map((pair) => new Tuple(pair))
}

function* unique(value: Value, [caseSensitive, attribute]: Args): Generator<Value, void, undefined> {
  const get = attributeGetter(attribute, postprocess(caseSensitive))
  const seen = new Set<unknown>()
  for (const item of iterate(value)) {
    const hash = hashOf(get(item))
    if (seen.has(hash)) continue
    take(8)
    seen.add(hash)
    yield item
  }
}

function extreme(order: '<' | '>') {
  return (value: Value, [caseSensitive, attribute]: Args): Value => {
    const get = attributeGetter(attribute, postprocess(caseSensitive))
    let best: { item: Value; key: Value } | undefined
    for (const item of iterate(value)) {
      const key = get(item)
      if (best === undefined || inOrder(key, order, best.key)) best = { item, key }
    }
    return best ? best.item : new Undefined(() => 'No aggregated item, sequence was empty.')
  }
}

function groupBy(value: Value, [attribute, otherwise = null, caseSensitive]: Args): Value {
  const key = attributeGetter(attribute, postprocess(caseSensitive), otherwise)
  const printed = attributeGetter(attribute, undefined, otherwise)
  const groups: { key: Value; items: Value[] }[] = []
  for (const item of sorted(listOf(value), key)) {
    take(8)
    const itemKey = key(item)
    const group = groups.at(-1)
    if (group && equals(group.key, itemKey)) group.items.push(item)
    else groups.push({ key: itemKey, items: [item] })
  }
  const exact = caseSensitive !== undefined && truthy(caseSensitive)
  return groups.map((group) => new Group([exact ? group.key : printed(group.items[0]), group.items]))
}

function sum(value: Value, [attribute, start = 0]: Args): Value {
  if (isText(start)) throw new TemplateFault("sum() can't sum strings [use ''.join(seq) instead]")
  const get = attributeGetter(attribute)
  let total: Value = start
  for (const item of iterate(value)) total = add(total, get(item))
  return total
}

function* pairs(value: Value): Generator<Value, void, undefined> {
  if (value instanceof Undefined) return
  if (!(value instanceof Dict)) throw new TemplateFault('Can only get item pairs from a mapping.')
  for (const pair of value.items()) yield new Tuple(pair)
}

function attribute(value: Value, [name]: Args): Value {
  if (!isText(name!)) throw new TemplateFault('attribute name must be string')
  if (ownAttribute(value, textOf(name)) !== undefined) return attributeOf(value, textOf(name))
  return new Undefined(() => `'${typeName(value)} object' has no attribute '${textOf(name)}'`)
}

function defaulted(value: Value, [otherwise = '', boolean = false]: Args): Value {
  return value instanceof Undefined || (truthy(boolean) && !truthy(value)) ? otherwise : value
}

const orDefault = filter('default_value? boolean?', defaulted)
const count = filter('', (value) => length(value))

export const SEQUENCE_FILTERS: Record<string, Filter> = {
  attr: filter('name', attribute),
  batch: filter(
    'linecount fill_with?',
    (value, [size, fill = null]) => new PyIterator('generator', batches(value, size!, fill), 'do_batch'),
  ),
  count,
  d: orDefault,
  default: orDefault,
  dictsort: filter('case_sensitive? by? reverse?', dictSort),
  first: filter('', first),
  groupby: filter('attribute default? case_sensitive?', groupBy),
  items: filter('', (value) => new PyIterator('generator', pairs(value), 'do_items')),
  last: filter('', last),
  length: count,
  list: filter('', (value) => listOf(value) as Value[]),
  max: filter('case_sensitive? attribute?', extreme('>')),
  min: filter('case_sensitive? attribute?', extreme('<')),
  random: filter('', random),
  reverse: filter('', reverse),
  slice: filter(
    'slices fill_with?',
    (value, [parts, fill = null]) => new PyIterator('generator', slices(value, parts!, fill), 'sync_do_slice'),
  ),
  sort: filter('reverse? case_sensitive? attribute?', sort),
  sum: filter('attribute? start?', sum),
  unique: filter(
    'case_sensitive? attribute?',
    (value, args) => new PyIterator('generator', unique(value, args), 'sync_do_unique'),
  ),
}
