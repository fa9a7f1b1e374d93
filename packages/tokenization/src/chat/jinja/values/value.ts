import { TemplateFault, Unsupported } from './fault'
import { Float } from './float'

/**
 * The values of a template, with Python's behaviour: templates are written against Jinja2, and print what Python prints.
 *
 * | Python | here |
 * | --- | --- |
 * | `None`, `bool`, `str` | `null`, `boolean`, `string` |
 * | `int` | `number` when it is a safe integer, `bigint` beyond; never both for one value |
 * | `float` | {@link Float} |
 * | `list` | an array, never changed once it is made (the sandbox allows no method that would) |
 * | `tuple`, `Markup`, undefined | {@link Tuple}, {@link Markup}, {@link Undefined} |
 * | `dict` | `Dict`, a {@link PyObject} |
 * | iterators, views, functions, `loop` ... | other {@link PyObject}s |
 */
export type Value = null | boolean | number | bigint | string | Float | Markup | Value[] | Tuple | Undefined | PyObject

/** What a missing name or key gives: prints as nothing, is false and empty, and complains when anything else is done. */
export class Undefined {
  constructor(readonly message: () => string) {}

  fail(): never {
    throw new TemplateFault(this.message())
  }
}

export function undefinedName(name: string): Undefined {
  return new Undefined(() => `'${name}' is undefined`)
}

export class Tuple {
  constructor(readonly items: readonly Value[]) {}
}

/** What `groupby` gives: a tuple whose items have names too. */
export class Group extends Tuple {}

/** Text that is safe HTML: joined with other text, it escapes that. */
export class Markup {
  constructor(readonly text: string) {}
}

/** A value with a type of its own. */
export abstract class PyObject {
  abstract readonly typeName: string

  attribute(_name: string): Value | undefined {
    return undefined
  }

  /** What a loop goes over; undefined for what Python cannot iterate. */
  iterate(): Iterable<Value> | undefined {
    return undefined
  }

  /** `len()`; undefined for what has none. */
  len(): number | undefined {
    return undefined
  }

  repr(): string {
    return `<${this.typeName} object at ${ADDRESS}>`
  }
}

/** Python prints where an object lies in memory; nothing meaningful can depend on it. */
export const ADDRESS = '0x7f0000000000'

export type Kwargs = ReadonlyMap<string, Value>
export const NO_KWARGS: Kwargs = new Map()

/** Anything that can be called: functions, bound methods, macros, classes. */
export class Callable extends PyObject {
  readonly typeName: string = 'function'

  constructor(
    readonly name: string,
    readonly call: (args: readonly Value[], kwargs: Kwargs) => Value,
    private readonly printed = `<function ${name} at ${ADDRESS}>`,
  ) {
    super()
  }

  override repr(): string {
    return this.printed
  }
}

/** A generator or iterator: gives its items once. */
export class PyIterator extends PyObject {
  private readonly iterator: Iterator<Value>

  constructor(
    readonly typeName: string,
    items: Iterable<Value>,
    private readonly functionName = '',
  ) {
    super()
    this.iterator = items[Symbol.iterator]()
  }

  /** The next item, or undefined at the end. */
  next(): Value | undefined {
    const { done, value } = this.iterator.next()
    return done ? undefined : value
  }

  override *iterate(): Generator<Value, void, undefined> {
    for (let item = this.next(); item !== undefined; item = this.next()) yield item
  }

  override repr(): string {
    const name = this.functionName === '' ? '' : ` ${this.functionName}`
    return `<${this.typeName} object${name} at ${ADDRESS}>`
  }
}

/** `range(...)`, of safe integers. */
export class Range extends PyObject {
  readonly typeName = 'range'
  readonly length: number

  constructor(
    readonly start: number,
    readonly stop: number,
    readonly step: number,
  ) {
    super()
    this.length = Math.max(0, Math.ceil((stop - start) / step))
  }

  at(index: number): number {
    return this.start + index * this.step
  }

  override len(): number {
    return this.length
  }

  override *iterate(): Generator<number, void, undefined> {
    for (let i = 0; i < this.length; i++) yield this.at(i)
  }

  override attribute(name: string): Value | undefined {
    return name === 'start' || name === 'stop' || name === 'step' ? this[name] : undefined
  }

  override repr(): string {
    return `range(${this.start}, ${this.stop}${this.step === 1 ? '' : `, ${this.step}`})`
  }
}

export function isText(value: Value): value is string | Markup {
  return typeof value === 'string' || value instanceof Markup
}

/** The characters of a str or Markup. */
export function textOf(value: string | Markup): string {
  return typeof value === 'string' ? value : value.text
}

export function isInt(value: Value): value is number | bigint | boolean {
  return typeof value === 'number' || typeof value === 'bigint' || typeof value === 'boolean'
}

/** An int as Python's `bool` subclasses it: true is 1. */
export function intOf(value: number | bigint | boolean): number | bigint {
  return typeof value === 'boolean' ? Number(value) : value
}

/** An int in its one form: a number when that is exact. */
export function normalInt(value: bigint): number | bigint {
  const number = Number(value)
  return Number.isSafeInteger(number) ? number : value
}

/** The int an argument must be, as a number; one beyond 2^53 is as good as infinite. */
export function indexOf(value: Value): number {
  if (typeof value === 'number') return value
  if (isInt(value)) return Number(value)
  if (value instanceof Undefined) return value.fail()
  throw new TemplateFault(`'${typeName(value)}' object cannot be interpreted as an integer`)
}

export function typeName(value: Value): string {
  if (value === null) return 'NoneType'
  if (isInt(value)) return typeof value === 'boolean' ? 'bool' : 'int'
  if (typeof value === 'string') return 'str'
  if (Array.isArray(value)) return 'list'
  if (value instanceof Float) return 'float'
  if (value instanceof Markup) return 'Markup'
  if (value instanceof Undefined) return 'Undefined'
  if (value instanceof Tuple) return 'tuple'
  return value.typeName
}

export function truthy(value: Value): boolean {
  if (typeof value !== 'object') return Boolean(value)
  if (value === null || value instanceof Undefined) return false
  if (Array.isArray(value)) return value.length > 0
  if (value instanceof Float) return +value !== 0
  if (value instanceof Markup) return value.text !== ''
  if (value instanceof Tuple) return value.items.length > 0
  return value.len() !== 0
}

export function complexNumber(): never {
  throw new Unsupported('complex numbers are not supported')
}
