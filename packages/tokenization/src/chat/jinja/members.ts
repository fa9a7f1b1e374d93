import { textMethod } from './text-methods'
import { Callable, equals, Namespace, numberOf, TemplateFault, Tuple, Undefined, type Value } from './values'

const DICT: Record<string, (self: Map<string, Value>, args: Value[]) => Value> = {
  get: (self, [key, fallback]) => (typeof key === 'string' ? self.get(key) : undefined) ?? fallback ?? null,
  items: (self) => [...self].map(([key, value]) => Tuple.of<Value>(key, value)),
  keys: (self) => [...self.keys()],
  values: (self) => [...self.values()],
  copy: (self) => new Map(self),
}
const LIST: Record<string, (self: Value[], args: Value[]) => Value> = {
  index: (self, [item]) => {
    const at = self.findIndex((entry) => equals(entry, item ?? null))
    if (at === -1) throw new TemplateFault('the item is not in the list')
    return at
  },
  count: (self, [item]) => self.filter((entry) => equals(entry, item ?? null)).length,
  copy: (self) => [...self],
}
/** Methods that change their object; Jinja2's sandbox refuses them too. */
const CHANGING = new Set([
  'append',
  'clear',
  'extend',
  'insert',
  'pop',
  'popitem',
  'remove',
  'reverse',
  'setdefault',
  'sort',
  'update',
])

function method(object: Value, name: string): Callable | undefined {
  if (typeof object === 'string') return textMethod(object, name)
  if (!(object instanceof Map || Array.isArray(object))) return undefined
  if (object instanceof Map && Object.hasOwn(DICT, name)) return new Callable(name, (args) => DICT[name]!(object, args))
  if (Array.isArray(object) && Object.hasOwn(LIST, name)) return new Callable(name, (args) => LIST[name]!(object, args))
  if (!CHANGING.has(name)) return undefined
  return new Callable(name, () => {
    throw new TemplateFault(`access to attribute '${name}' is unsafe: templates may not change their variables`)
  })
}

function missing(object: Value, name: string): Undefined {
  const kind =
    object instanceof Map
      ? 'dict object'
      : typeof object === 'string'
        ? 'str object'
        : Array.isArray(object)
          ? 'list object'
          : 'object'
  return new Undefined(`${kind}' has no attribute '${name}`)
}

/** Complains about the use of something that is not there. */
export function refuseUndefined(object: Value): void {
  if (!(object instanceof Undefined)) return
  throw new TemplateFault(
    object.name.includes(' has no attribute ') ? `'${object.name}'` : `'${object.name}' is undefined`,
  )
}

/** `object.name`: methods come before keys, as Python's attributes do. */
export function attributeOf(object: Value, name: string): Value {
  refuseUndefined(object)
  if (object instanceof Namespace) return object.get(name) ?? missing(object, name)
  const found = method(object, name)
  if (found && !(object instanceof Map && CHANGING.has(name) && object.has(name))) return found
  if (object instanceof Map && object.has(name)) return object.get(name)!
  return missing(object, name)
}

/** `object[key]`: keys come before methods. */
export function itemOf(object: Value, key: Value): Value {
  refuseUndefined(object)
  if (typeof key === 'string') {
    if (object instanceof Map && object.has(key)) return object.get(key)!
    return attributeOf(object, key)
  }
  const at = numberOf(key)
  if (at === undefined || object instanceof Map) return missing(object, String(at))
  const list = typeof object === 'string' ? [...object] : object
  if (!Array.isArray(list)) return missing(object, String(at))
  return list[at < 0 ? list.length + at : at] ?? missing(object, String(at))
}

/** A dotted path (`"function.name"`, or a number), as filters take it. */
export function pathOf(object: Value, path: Value): Value {
  if (typeof path !== 'string') return itemOf(object, path)
  let value = object
  for (const part of path.split('.')) value = itemOf(value, /^\d+$/.test(part) ? Number(part) : part)
  return value
}

/** `object[start:stop:step]` of text (by code point), list or tuple. */
export function sliceOf(object: Value, start: Value, stop: Value, step: Value): Value {
  refuseUndefined(object)
  const list = typeof object === 'string' ? [...object] : object
  if (!Array.isArray(list)) throw new TemplateFault('this value cannot be sliced')
  const by = numberOf(step) ?? 1
  if (by === 0) throw new TemplateFault('slice step cannot be zero')
  const n = list.length
  const bound = (value: Value, fallback: number): number => {
    const at = numberOf(value)
    if (at === undefined) return fallback
    const low = by > 0 ? 0 : -1
    const high = by > 0 ? n : n - 1
    return Math.max(low, Math.min(high, at < 0 ? at + n : at))
  }
  const from = bound(start, by > 0 ? 0 : n - 1)
  const to = bound(stop, by > 0 ? n : -1)
  const out: Value[] = []
  for (let i = from; by > 0 ? i < to : i > to; i += by) out.push(list[i]!)
  if (typeof object === 'string') return out.join('')
  return object instanceof Tuple ? Tuple.from(out) : out
}
