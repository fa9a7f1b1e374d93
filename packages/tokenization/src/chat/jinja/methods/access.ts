import { spend, take } from '../values/budget'
import { Dict, Namespace } from '../values/dict'
import { TemplateFault } from '../values/fault'
import { Float } from '../values/float'
import { repr } from '../values/repr'
import { characterAt, hasSurrogates } from '../values/text'
import {
  ADDRESS,
  Callable,
  Group,
  indexOf,
  intOf,
  isInt,
  isText,
  type Kwargs,
  Markup,
  NO_KWARGS,
  PyObject,
  Range,
  Tuple,
  textOf,
  typeName,
  Undefined,
  type Value,
} from '../values/value'
import {
  DICT_METHODS,
  LIST_METHODS,
  MUTATING_DICT_METHODS,
  MUTATING_LIST_METHODS,
  RANGE_METHODS,
  SEQUENCE_METHODS,
} from './collection-methods'
import { isMarkupMethod, markupMethod } from './markup-methods'
import type { Method } from './method'
import { FLOAT_FIELDS, FLOAT_METHODS, INT_FIELDS, INT_METHODS } from './number-methods'
import { formatFields, type Sources } from './text-format'
import { TEXT_METHODS } from './text-methods'

/** `value.name`: the attribute, else the item. */
export function attributeOf(value: Value, name: string): Value {
  if (value instanceof Dict) {
    const method = ownAttribute(value, name)
    const found = method === undefined ? value.get(name) : method
    return found === undefined ? missing(value, name) : found
  }
  const found = ownAttribute(value, name)
  return found === undefined ? missing(value, name) : found
}

/** `value[key]`: the item, else the attribute. */
export function itemOf(value: Value, key: Value): Value {
  const item = ownItem(value, key)
  const found = item === undefined && isText(key) ? ownAttribute(value, textOf(key)) : item
  return found === undefined ? missing(value, key) : found
}

function ownItem(value: Value, key: Value): Value | undefined {
  if (value instanceof Dict) return hashable(key) ? value.get(key) : undefined
  if (value instanceof Undefined) return value.fail()
  if (!isInt(key)) return undefined
  const index = indexOf(key)
  if (Array.isArray(value)) return value[index < 0 ? index + value.length : index]
  if (isText(value)) {
    spend(textOf(value).length)
    const character = characterAt(textOf(value), index)
    return character !== undefined && value instanceof Markup ? new Markup(character) : character
  }
  if (value instanceof Tuple) return value.items[index < 0 ? index + value.items.length : index]
  if (value instanceof Range) {
    const at = index < 0 ? index + value.length : index
    return at >= 0 && at < value.length ? value.at(at) : undefined
  }
  return undefined
}

function hashable(key: Value): boolean {
  if (key instanceof Tuple) return key.items.every(hashable)
  return !Array.isArray(key) && !(key instanceof Dict)
}

function missing(value: Value, name: Value): Undefined {
  return new Undefined(() => {
    if (!isText(name)) return `${describe(value)} has no element ${String(name)}`
    return `'${describe(value)}' has no attribute '${textOf(name)}'`
  })
}

function describe(value: Value): string {
  if (value === null) return 'None'
  const name = typeName(value)
  return `${name === 'Markup' ? 'markupsafe.Markup' : name} object`
}

/** Python's own attributes of every object begin so; the sandbox gives none of them. */
const DUNDER =
  /^__(?:class|delattr|dir|doc|eq|format|ge|getattribute|gt|hash|init|init_subclass|le|lt|ne|new|reduce|reduce_ex|repr|setattr|sizeof|str|subclasshook|len|iter|contains|getitem|add|mul|rmul|call|module|dict|name|qualname|self)__$/

function unsafe(value: Value, name: string): Undefined {
  return new Undefined(() => `access to attribute '${name}' of '${typeName(value)}' object is unsafe.`)
}

/** The attribute that Python's `getattr` gives, through the sandbox; undefined where there is none. */
export function ownAttribute(value: Value, name: string): Value | undefined {
  if (value instanceof Undefined) return DUNDER.test(name) ? unsafe(value, name) : value.fail()
  if (name.charCodeAt(0) === 95) {
    if (value instanceof Namespace) return value.attribute(name) === undefined ? undefined : unsafe(value, name)
    return DUNDER.test(name) ? unsafe(value, name) : undefined
  }
  if (typeof value === 'string') return bound(value, name, TEXT_METHODS) ?? formatMethod(value, name)
  if (value instanceof Dict)
    return MUTATING_DICT_METHODS.has(name)
      ? unsafe(value, name)
      : name === 'fromkeys'
        ? FROM_KEYS
        : bound(value, name, DICT_METHODS)
  if (Array.isArray(value))
    return MUTATING_LIST_METHODS.has(name) ? unsafe(value, name) : bound(value, name, LIST_METHODS)
  if (value instanceof PyObject) return ofObject(value, name)
  if (value instanceof Markup) return ofMarkup(value, name)
  if (value instanceof Tuple) return ofTuple(value, name)
  if (isInt(value)) return ofNumber(intOf(value), name, INT_FIELDS, INT_METHODS)
  return value instanceof Float ? ofNumber(value, name, FLOAT_FIELDS, FLOAT_METHODS) : undefined
}

function ofObject(value: PyObject, name: string): Value | undefined {
  const own = value.attribute(name)
  return own === undefined && value instanceof Range ? bound(value, name, RANGE_METHODS) : own
}

function ofMarkup(value: Markup, name: string): Value | undefined {
  const method = markupMethod(name)
  if (!method) return formatMethod(value, name)
  const call: Callable['call'] = (args, kwargs) => method(name, value.text, args, kwargs)
  return isMarkupMethod(name)
    ? new Callable(name, call, `<bound method Markup.${name} of ${repr(value)}>`)
    : boundMethod(value, name, call)
}

function ofTuple(value: Tuple, name: string): Value | undefined {
  if (value instanceof Group && name === 'grouper') return value.items[0]
  if (value instanceof Group && name === 'list') return value.items[1]
  const method = Object.hasOwn(SEQUENCE_METHODS, name) ? SEQUENCE_METHODS[name] : undefined
  return method && boundMethod(value, name, (args, kwargs) => method(name, value.items, args, kwargs))
}

function ofNumber<Self extends Value>(
  value: Self,
  name: string,
  fields: Record<string, (self: Self) => Value>,
  methods: Record<string, Method<Self>>,
): Value | undefined {
  return Object.hasOwn(fields, name) ? fields[name](value) : bound(value, name, methods)
}

function bound<Self extends Value>(
  value: Self,
  name: string,
  methods: Record<string, Method<Self>>,
): Value | undefined {
  const method = Object.hasOwn(methods, name) ? methods[name] : undefined
  return method && boundMethod(value, name, (args, kwargs) => method(name, value, args, kwargs))
}

function boundMethod(value: Value, name: string, call: Callable['call']): Callable {
  return new Callable(name, call, `<built-in method ${name} of ${typeName(value)} object at ${ADDRESS}>`)
}

const FROM_KEYS = new Callable('fromkeys', ([keys, value]) => {
  const items = Array.isArray(keys)
    ? keys
    : keys instanceof Tuple
      ? keys.items
      : isText(keys)
        ? Array.from(textOf(keys))
        : undefined
  if (!items) throw new TemplateFault('fromkeys() needs a sequence')
  return Dict.of(items.map((key) => [key, value ?? null] as const))
})

/** `format` and `format_map`, whose fields go through the sandbox. */
function formatMethod(self: string | Markup, name: string): Callable | undefined {
  if (name !== 'format' && name !== 'format_map') return undefined
  return new Callable(name, (args, kwargs = NO_KWARGS) => {
    const sources = name === 'format' ? fromArguments(args, kwargs) : fromMapping(args, kwargs)
    const markup = self instanceof Markup
    const out = formatFields(textOf(self), sources, { attribute: attributeOf, item: itemOf }, markup)
    return markup ? new Markup(out) : out
  })
}

function fromArguments(args: readonly Value[], kwargs: Kwargs): Sources {
  return {
    positional: (index) => {
      if (index >= args.length)
        throw new TemplateFault(`Replacement index ${index} out of range for positional args tuple`)
      return args[index]
    },
    named: (name) => {
      const value = kwargs.get(name)
      if (value === undefined) throw new TemplateFault(`'${name}'`)
      return value
    },
  }
}

function fromMapping(args: readonly Value[], kwargs: Kwargs): Sources {
  if (kwargs.size > 0) throw new TemplateFault('format_map() takes no keyword arguments')
  if (args.length !== 1) throw new TemplateFault(`format_map() takes exactly one argument (${args.length} given)`)
  const [mapping] = args
  return {
    ...fromArguments([], NO_KWARGS),
    named: (name) => {
      const value = mapping instanceof Dict ? mapping.get(name) : undefined
      if (value === undefined) throw new TemplateFault(`'${name}'`)
      return value
    },
  }
}

/** `value[start:stop:step]`. */
export function sliceOf(value: Value, start: Value, stop: Value, step: Value): Value {
  if (value instanceof Undefined) return value.fail()
  if (isText(value)) {
    const sliced = sliceText(textOf(value), start, stop, step)
    return value instanceof Markup ? new Markup(sliced) : sliced
  }
  const items = Array.isArray(value) ? value : value instanceof Tuple ? value.items : undefined
  if (items !== undefined) {
    const chosen = sliceItems(items, start, stop, step)
    return Array.isArray(value) ? chosen : new Tuple(chosen)
  }
  if (value instanceof Range) {
    const [from, to, by] = bounds(value.length, start, stop, step)
    return new Range(value.at(from), value.at(to), value.step * by)
  }
  if (value instanceof Dict) throw new TemplateFault("unhashable type: 'slice'")
  throw new TemplateFault(`'${typeName(value)}' object is not subscriptable`)
}

function sliceText(text: string, start: Value, stop: Value, step: Value): string {
  const points = hasSurrogates(text) ? Array.from(text) : text
  const [from, to, by] = bounds(points.length, start, stop, step)
  spend(text.length)
  take(Math.max(0, Math.ceil((to - from) / by)))
  if (by === 1)
    return typeof points === 'string'
      ? points.slice(from, Math.max(from, to))
      : points.slice(from, Math.max(from, to)).join('')
  let out = ''
  for (let i = from; by > 0 ? i < to : i > to; i += by) out += points[i]
  return out
}

function sliceItems(items: readonly Value[], start: Value, stop: Value, step: Value): Value[] {
  const [from, to, by] = bounds(items.length, start, stop, step)
  take(8 * Math.max(0, Math.ceil((to - from) / by)))
  if (by === 1) return items.slice(from, Math.max(from, to))
  const out: Value[] = []
  for (let i = from; by > 0 ? i < to : i > to; i += by) out.push(items[i])
  return out
}

/** Where a slice begins and ends, with its step, for a sequence of `length` items. */
function bounds(length: number, start: Value, stop: Value, step: Value): [from: number, to: number, by: number] {
  const by = step === null ? 1 : sliceIndex(step)
  if (by === 0) throw new TemplateFault('slice step cannot be zero')
  const [lowest, highest] = by < 0 ? [-1, length - 1] : [0, length]
  const bound = (value: Value, otherwise: number) => {
    if (value === null) return otherwise
    const index = sliceIndex(value)
    return Math.min(highest, Math.max(lowest, index < 0 ? index + length : index))
  }
  return by < 0 ? [bound(start, highest), bound(stop, lowest), by] : [bound(start, lowest), bound(stop, highest), by]
}

function sliceIndex(value: Value): number {
  if (!isInt(value)) throw new TemplateFault('slice indices must be integers or None or have an __index__ method')
  return indexOf(value)
}
