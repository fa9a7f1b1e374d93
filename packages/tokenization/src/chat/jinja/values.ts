/**
 * Values of the template language, with Python's behaviour: chat templates are written against Jinja2, and what they
 * print is what Python prints. Text is a JavaScript string, a list an array, a dict a Map.
 */
export type Value =
  | Undefined
  | null
  | boolean
  | number
  | Float
  | string
  | Value[]
  | Map<string, Value>
  | Namespace
  | Callable

/** What a missing name or key gives: prints as nothing, and complains when it is used. */
export class Undefined {
  constructor(readonly name: string) {}
}

/** A Python float; plain numbers are ints. */
export class Float {
  constructor(readonly value: number) {}
}

/** A tuple only differs from a list in how it prints. */
export class Tuple extends Array<Value> {}

/** `namespace(...)`: the one thing a template may assign attributes of. */
export class Namespace {
  constructor(readonly fields: Map<string, Value>) {}

  get(name: string): Value | undefined {
    return this.fields.get(name)
  }
}

export type Call = (args: Value[], kwargs: Map<string, Value>) => Value

/** A function, method or macro. */
export class Callable {
  constructor(
    readonly name: string,
    readonly call: Call,
  ) {}
}

/** A mistake of the template; the message is what Jinja2 would say, or close to it. */
export class TemplateFault extends Error {}

/** Makes a template value of a JavaScript one; functions and class instances are left out. */
export function toValue(input: unknown, name = 'value'): Value {
  if (input === undefined) return new Undefined(name)
  if (input === null || typeof input === 'string' || typeof input === 'boolean') return input
  if (typeof input === 'number') return Number.isInteger(input) ? input : new Float(input)
  if (typeof input === 'bigint') return Number(input)
  if (input instanceof Callable || input instanceof Float) return input
  if (Array.isArray(input)) return input.map((item) => toValue(item))
  if (typeof input === 'object')
    return new Map(
      Object.entries(input)
        .filter(([, value]) => value !== undefined && typeof value !== 'function')
        .map(([key, value]) => [key, toValue(value, key)]),
    )
  throw new TemplateFault(`a ${typeof input} cannot be given to a template`)
}

export function typeName(value: Value): string {
  if (value instanceof Undefined) return 'Undefined'
  if (value === null) return 'NoneType'
  if (typeof value === 'boolean') return 'bool'
  if (typeof value === 'number') return 'int'
  if (value instanceof Float) return 'float'
  if (typeof value === 'string') return 'str'
  if (value instanceof Tuple) return 'tuple'
  if (Array.isArray(value)) return 'list'
  if (value instanceof Map) return 'dict'
  return value instanceof Namespace ? 'Namespace' : 'function'
}

export function truthy(value: Value): boolean {
  if (value instanceof Undefined) return false
  if (value instanceof Float) return value.value !== 0
  if (Array.isArray(value)) return value.length > 0
  if (value instanceof Map) return value.size > 0
  return typeof value === 'object' && value !== null ? true : Boolean(value)
}

/** The number a bool, int or float is, or undefined. */
export function numberOf(value: Value): number | undefined {
  if (typeof value === 'number') return value
  if (typeof value === 'boolean') return value ? 1 : 0
  return value instanceof Float ? value.value : undefined
}

export function equals(a: Value, b: Value): boolean {
  if (a === b) return true
  if (a instanceof Undefined) return b instanceof Undefined
  const x = numberOf(a)
  if (x !== undefined) return x === numberOf(b)
  if (Array.isArray(a))
    return (
      Array.isArray(b) &&
      a instanceof Tuple === b instanceof Tuple &&
      a.length === b.length &&
      a.every((item, i) => equals(item, b[i]!))
    )
  if (a instanceof Map)
    return b instanceof Map && a.size === b.size && [...a].every(([k, v]) => b.has(k) && equals(v, b.get(k)!))
  return false
}

/** -1, 0 or 1; text by code point, as Python orders it. */
export function compare(a: Value, b: Value): number {
  const x = numberOf(a)
  const y = numberOf(b)
  if (x !== undefined && y !== undefined) return Math.sign(x - y)
  if (typeof a === 'string' && typeof b === 'string') {
    const [p, q] = [[...a], [...b]]
    for (let i = 0; i < Math.min(p.length, q.length); i++)
      if (p[i] !== q[i]) return p[i]!.codePointAt(0)! < q[i]!.codePointAt(0)! ? -1 : 1
    return Math.sign(p.length - q.length)
  }
  if (Array.isArray(a) && Array.isArray(b)) {
    for (let i = 0; i < Math.min(a.length, b.length); i++) if (!equals(a[i]!, b[i]!)) return compare(a[i]!, b[i]!)
    return Math.sign(a.length - b.length)
  }
  throw new TemplateFault(`'<' not supported between instances of '${typeName(a)}' and '${typeName(b)}'`)
}

/** What a `for` goes over. */
export function iterate(value: Value): Value[] {
  if (Array.isArray(value)) return value
  if (typeof value === 'string') return [...value]
  if (value instanceof Map) return [...value.keys()]
  if (value instanceof Undefined) return []
  throw new TemplateFault(`'${typeName(value)}' object is not iterable`)
}

/** Python's `str()` of a float: the shortest digits, always with a point or an exponent of two digits. */
function floatText(x: number): string {
  if (Number.isNaN(x)) return 'nan'
  if (!Number.isFinite(x)) return x > 0 ? 'inf' : '-inf'
  if (Object.is(x, -0)) return '-0.0'
  const size = Math.abs(x)
  if (size !== 0 && (size >= 1e16 || size < 1e-4)) {
    const [digits, exponent] = x.toExponential().split('e') as [string, string]
    return `${digits}e${exponent[0]}${exponent.slice(1).padStart(2, '0')}`
  }
  const text = size < 1e-6 ? x.toFixed(20).replace(/0+$/, '') : String(x)
  return text.includes('.') ? text : `${text}.0`
}

function intText(x: number): string {
  return Math.abs(x) < 1e21 ? String(x) : BigInt(x).toString()
}

/** Python's `str()`. */
export function text(value: Value): string {
  if (typeof value === 'string') return value
  return value instanceof Undefined ? '' : repr(value)
}

/** Python's `repr()`. */
export function repr(value: Value): string {
  if (value === null) return 'None'
  if (typeof value === 'boolean') return value ? 'True' : 'False'
  if (typeof value === 'number') return intText(value)
  if (value instanceof Float) return floatText(value.value)
  if (typeof value === 'string') return reprText(value)
  if (value instanceof Undefined) return 'Undefined'
  if (value instanceof Tuple) return `(${value.map(repr).join(', ')}${value.length === 1 ? ',' : ''})`
  if (Array.isArray(value)) return `[${value.map(repr).join(', ')}]`
  if (value instanceof Map) return `{${[...value].map(([k, v]) => `${reprText(k)}: ${repr(v)}`).join(', ')}}`
  return value instanceof Callable ? `<function ${value.name}>` : '<Namespace>'
}

const ESCAPES: Record<string, string> = { '\\': '\\\\', '\n': '\\n', '\r': '\\r', '\t': '\\t' }

function reprText(value: string): string {
  const quote = value.includes("'") && !value.includes('"') ? '"' : "'"
  let out = ''
  for (const char of value) {
    const code = char.codePointAt(0)!
    if (ESCAPES[char]) out += ESCAPES[char]
    else if (char === quote) out += `\\${char}`
    else if (char === ' ' || !/[\p{C}\p{Z}]/u.test(char)) out += char
    else if (code < 0x100) out += `\\x${code.toString(16).padStart(2, '0')}`
    else if (code < 0x10000) out += `\\u${code.toString(16).padStart(4, '0')}`
    else out += `\\U${code.toString(16).padStart(8, '0')}`
  }
  return quote + out + quote
}

export interface JsonOptions {
  indent?: string
  item: string
  key: string
  ascii: boolean
  sort: boolean
}

/** Python's `json.dumps`. */
export function toJson(value: Value, options: JsonOptions, depth = 0): string {
  if (value === null) return 'null'
  if (typeof value === 'string') return jsonText(value, options.ascii)
  if (typeof value === 'boolean') return String(value)
  if (typeof value === 'number') return intText(value)
  if (value instanceof Float) {
    const printed = floatText(value.value)
    return { nan: 'NaN', inf: 'Infinity', '-inf': '-Infinity' }[printed] ?? printed
  }
  const { indent, item } = options
  const wrap = (open: string, parts: string[], close: string): string => {
    if (parts.length === 0) return open + close
    if (indent === undefined) return open + parts.join(item) + close
    const line = `\n${indent.repeat(depth + 1)}`
    return `${open}${line}${parts.join(item.trimEnd() + line)}\n${indent.repeat(depth)}${close}`
  }
  if (Array.isArray(value))
    return wrap(
      '[',
      value.map((entry) => toJson(entry, options, depth + 1)),
      ']',
    )
  if (value instanceof Map) {
    const entries = [...value]
    if (options.sort) entries.sort(([a], [b]) => compare(a, b))
    const parts = entries.map(([k, v]) => jsonText(k, options.ascii) + options.key + toJson(v, options, depth + 1))
    return wrap('{', parts, '}')
  }
  throw new TemplateFault(`Object of type ${typeName(value)} is not JSON serializable`)
}

function jsonText(value: string, ascii: boolean): string {
  // JSON.stringify escapes what Python does, but for ASCII mode.
  const out = JSON.stringify(value)
  if (!ascii) return out
  return out.replace(/[\u007f-\uffff]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`)
}
