import { predicate } from './predicates'
import { capitalize, replaceText, splitLines, strip, title } from './text-methods'
import {
  compare,
  equals,
  Float,
  iterate,
  numberOf,
  TemplateFault,
  Tuple,
  text,
  toJson,
  truthy,
  typeName,
  Undefined,
  type Value,
} from './values'

/** What a filter may ask of the renderer. */
export interface FilterHost {
  /** The most units a text may have. */
  size: number
  attribute(value: Value, path: Value): Value
  filter(name: string): Filter
}
export type Filter = (value: Value, args: Value[], kwargs: Map<string, Value>, host: FilterHost) => Value

/** The argument at `index`, or under `name`, or the default. */
function argument(args: Value[], kwargs: Map<string, Value>, index: number, name: string, fallback: Value): Value {
  return args[index] ?? kwargs.get(name) ?? fallback
}

function lengthOf(value: Value): number {
  if (typeof value === 'string') return [...value].length
  if (Array.isArray(value)) return value.length
  if (value instanceof Map) return value.size
  if (value instanceof Undefined) return 0
  throw new TemplateFault(`object of type '${typeName(value)}' has no len()`)
}

const folded = (value: Value): Value => (typeof value === 'string' ? value.toLowerCase() : value)

function sorted(value: Value, key: (item: Value) => Value, reverse: boolean): Value[] {
  const list = [...iterate(value)].map((item) => ({ item, key: key(item) }))
  list.sort((a, b) => (reverse ? compare(b.key, a.key) : compare(a.key, b.key)))
  return list.map(({ item }) => item)
}

function keyOf(attribute: Value, sensitive: Value, host: FilterHost): (item: Value) => Value {
  return (item) => {
    const value = attribute === null ? item : host.attribute(item, attribute)
    return truthy(sensitive) ? value : folded(value)
  }
}

/** `select` and its kin: keep what passes a test, by itself or by one of its attributes. */
function selecting(keep: boolean, byAttribute: boolean): Filter {
  return (value, args, _, host) => {
    const rest = [...args]
    const attribute = byAttribute ? rest.shift() : undefined
    const name = rest.shift()
    const test = name === undefined ? undefined : predicate(text(name))
    return iterate(value).filter((item) => {
      const subject = attribute === undefined ? item : host.attribute(item, attribute)
      return (test ? test(subject, rest) : truthy(subject)) === keep
    })
  }
}

function extreme(sign: number): Filter {
  return (value, args, kwargs, host) => {
    const key = keyOf(kwargs.get('attribute') ?? null, argument(args, kwargs, 0, 'case_sensitive', false), host)
    const list = iterate(value)
    if (list.length === 0) return new Undefined('No aggregated item, sequence was empty.')
    return list.reduce((best, item) => (compare(key(item), key(best)) * sign > 0 ? item : best))
  }
}

function toNumber(value: Value, args: Value[], kwargs: Map<string, Value>, float: boolean): Value {
  const fallback = argument(args, kwargs, 0, 'default', float ? new Float(0) : 0)
  const n = numberOf(value)
  if (n !== undefined) return float ? new Float(n) : Number.isFinite(n) ? Math.trunc(n) : fallback
  if (typeof value !== 'string') return fallback
  const trimmed = strip(value, undefined, 'both').replaceAll(/(?<=\d)_(?=\d)/g, '')
  if (!/^[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?$/.test(trimmed)) return fallback
  return float ? new Float(Number(trimmed)) : Math.trunc(Number(trimmed))
}

function indentText(value: string, width: Value, first: boolean, blank: boolean, host: FilterHost): string {
  const by = typeof width === 'string' ? width : ' '.repeat(Math.min(numberOf(width) ?? 4, 10_000))
  const lines = splitLines(`${value}\n`, false)
  if (lines.length * by.length > host.size) throw new TemplateFault('the text becomes too long')
  const rest = lines.slice(1).map((line) => (line === '' && !blank ? line : by + line))
  return [(first ? by : '') + lines[0], ...rest].join('\n')
}

function round(value: Value, args: Value[], kwargs: Map<string, Value>): Value {
  const x = numberOf(value) ?? 0
  const digits = 10 ** (numberOf(argument(args, kwargs, 0, 'precision', 0)) ?? 0)
  const method = argument(args, kwargs, 1, 'method', 'common')
  if (method === 'ceil') return new Float(Math.ceil(x * digits) / digits)
  if (method === 'floor') return new Float(Math.floor(x * digits) / digits)
  const scaled = x * digits
  const down = Math.floor(scaled)
  const half = scaled - down === 0.5
  return new Float((half ? (down % 2 === 0 ? down : down + 1) : Math.round(scaled)) / digits)
}

function batch(value: Value, args: Value[], kwargs: Map<string, Value>): Value {
  const size = Math.max(1, numberOf(argument(args, kwargs, 0, 'linecount', 1)) ?? 1)
  const list = iterate(value)
  const rows: Value[][] = []
  for (let i = 0; i < list.length; i += size) rows.push(list.slice(i, i + size))
  const fill = argument(args, kwargs, 1, 'fill_with', null)
  const last = rows.at(-1)
  if (last && fill !== null) while (last.length < Math.min(size, 100_000)) last.push(fill)
  return rows
}

const FILTERS: Record<string, Filter> = {
  abs: (value) => (value instanceof Float ? new Float(Math.abs(value.value)) : Math.abs(numberOf(value) ?? 0)),
  batch,
  capitalize: (value) => capitalize(text(value)),
  count: (value) => lengthOf(value),
  default: (value, args, kwargs) => {
    const always = truthy(argument(args, kwargs, 1, 'boolean', false))
    return value instanceof Undefined || (always && !truthy(value))
      ? argument(args, kwargs, 0, 'default_value', '')
      : value
  },
  dictsort: (value, args, kwargs) => {
    if (!(value instanceof Map)) throw new TemplateFault('dictsort needs a dict')
    const sensitive = truthy(argument(args, kwargs, 0, 'case_sensitive', false))
    const at = argument(args, kwargs, 1, 'by', 'key') === 'value' ? 1 : 0
    const pairs: Value[] = [...value].map(([k, v]) => Tuple.of<Value>(k, v))
    const key = (pair: Value) => (sensitive ? (pair as Value[])[at]! : folded((pair as Value[])[at]!))
    return sorted(pairs, key, truthy(argument(args, kwargs, 2, 'reverse', false)))
  },
  escape: (value) =>
    text(value).replace(
      /[&<>'"]/g,
      (c) => ({ '&': '&amp;', '<': '&lt;', '>': '&gt;', "'": '&#39;', '"': '&#34;' })[c]!,
    ),
  first: (value) => iterate(value)[0] ?? new Undefined('No first item, sequence was empty.'),
  float: (value, args, kwargs) => toNumber(value, args, kwargs, true),
  indent: (value, args, kwargs, host) =>
    indentText(
      text(value),
      argument(args, kwargs, 0, 'width', 4),
      truthy(argument(args, kwargs, 1, 'first', false)),
      truthy(argument(args, kwargs, 2, 'blank', false)),
      host,
    ),
  int: (value, args, kwargs) => toNumber(value, args, kwargs, false),
  items: (value) => {
    if (value instanceof Undefined) return []
    if (!(value instanceof Map)) throw new TemplateFault('Can only get item pairs from a mapping.')
    return [...value].map(([k, v]) => Tuple.of<Value>(k, v))
  },
  join: (value, args, kwargs, host) => {
    const attribute = argument(args, kwargs, 1, 'attribute', null)
    const parts = iterate(value).map((item) => text(attribute === null ? item : host.attribute(item, attribute)))
    const by = text(argument(args, kwargs, 0, 'd', ''))
    if (parts.reduce((sum, part) => sum + part.length + by.length, 0) > host.size * 2)
      throw new TemplateFault('the text becomes too long')
    return parts.join(by)
  },
  last: (value) => iterate(value).at(-1) ?? new Undefined('No last item, sequence was empty.'),
  list: (value) => [...iterate(value)],
  lower: (value) => text(value).toLowerCase(),
  map: (value, args, kwargs, host) => {
    const attribute = kwargs.get('attribute')
    if (attribute !== undefined) {
      const fallback = kwargs.get('default')
      return iterate(value).map((item) => {
        const found = host.attribute(item, attribute)
        return found instanceof Undefined && fallback !== undefined ? fallback : found
      })
    }
    const [name, ...rest] = args
    const filter = host.filter(text(name ?? ''))
    return iterate(value).map((item) => filter(item, rest, kwargs, host))
  },
  max: extreme(1),
  min: extreme(-1),
  reject: selecting(false, false),
  rejectattr: selecting(false, true),
  replace: (value, args, kwargs, host) =>
    replaceText(
      text(value),
      text(args[0] ?? ''),
      text(args[1] ?? ''),
      numberOf(argument(args, kwargs, 2, 'count', -1)) ?? -1,
      host.size * 2,
    ),
  reverse: (value) => (typeof value === 'string' ? [...value].reverse().join('') : [...iterate(value)].reverse()),
  round,
  safe: (value) => value,
  select: selecting(true, false),
  selectattr: selecting(true, true),
  sort: (value, args, kwargs, host) =>
    sorted(
      value,
      keyOf(argument(args, kwargs, 2, 'attribute', null), argument(args, kwargs, 1, 'case_sensitive', false), host),
      truthy(argument(args, kwargs, 0, 'reverse', false)),
    ),
  string: (value) => text(value),
  sum: (value, args, kwargs, host) => {
    const attribute = argument(args, kwargs, 0, 'attribute', null)
    const list = iterate(value).map((item) => (attribute === null ? item : host.attribute(item, attribute)))
    const start = argument(args, kwargs, 1, 'start', 0)
    const total = list.reduce<number>((sum, item) => sum + (numberOf(item) ?? 0), numberOf(start) ?? 0)
    return [start, ...list].some((item) => item instanceof Float) ? new Float(total) : total
  },
  title: (value) => title(text(value)),
  tojson: (value, args, kwargs) => {
    const indent = argument(args, kwargs, 1, 'indent', null)
    const separators = argument(args, kwargs, 2, 'separators', null)
    const pair = Array.isArray(separators) ? separators.map(text) : [indent === null ? ', ' : ',', ': ']
    return toJson(value, {
      ...(indent === null
        ? {}
        : { indent: typeof indent === 'string' ? indent : ' '.repeat(Math.min(64, numberOf(indent) ?? 0)) }),
      item: pair[0]!,
      key: pair[1]!,
      ascii: truthy(argument(args, kwargs, 0, 'ensure_ascii', false)),
      sort: truthy(argument(args, kwargs, 3, 'sort_keys', false)),
    })
  },
  trim: (value, args, kwargs) => {
    const chars = argument(args, kwargs, 0, 'chars', null)
    return strip(text(value), chars === null ? undefined : text(chars), 'both')
  },
  truncate: (value, args, kwargs) => {
    const length = numberOf(argument(args, kwargs, 0, 'length', 255)) ?? 255
    const end = text(argument(args, kwargs, 2, 'end', '...'))
    const leeway = numberOf(argument(args, kwargs, 3, 'leeway', 5)) ?? 5
    const chars = [...text(value)]
    if (chars.length <= length + leeway) return chars.join('')
    const cut = chars.slice(0, Math.max(0, length - end.length)).join('')
    const whole = truthy(argument(args, kwargs, 1, 'killwords', false)) || !cut.includes(' ')
    return (whole ? cut : cut.slice(0, cut.lastIndexOf(' '))) + end
  },
  unique: (value, args, kwargs, host) => {
    const key = keyOf(
      argument(args, kwargs, 1, 'attribute', null),
      argument(args, kwargs, 0, 'case_sensitive', false),
      host,
    )
    const seen: Value[] = []
    return iterate(value).filter((item) => {
      const k = key(item)
      if (seen.some((old) => equals(old, k))) return false
      seen.push(k)
      return true
    })
  },
  upper: (value) => text(value).toUpperCase(),
  wordcount: (value) => text(value).match(/\w+/gu)?.length ?? 0,
}
const ALIASES: Record<string, string> = { length: 'count', d: 'default', e: 'escape' }

/** The filter `name` of `x | name`. */
export function filter(name: string): Filter {
  const key = ALIASES[name] ?? name
  if (!Object.hasOwn(FILTERS, key)) throw new TemplateFault(`No filter named '${name}'.`)
  return FILTERS[key]!
}
