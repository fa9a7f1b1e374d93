import { divide, floorDivide, isNumber, minus, modulo, negated, plus, power, times } from './arithmetic'
import { take, takeJoined } from './budget'
import { TemplateFault } from './fault'
import { Float } from './float'
import { percentFormat } from './percent-format'
import { text } from './repr'
import { escapeMarkup } from './text'
import { indexOf, isInt, isText, Markup, Tuple, textOf, typeName, Undefined, type Value } from './value'

export type Operator = '+' | '-' | '*' | '/' | '//' | '%' | '**'

const NUMERIC: Record<Operator, (a: Value, b: Value) => Value | undefined> = {
  '+': plus,
  '-': minus,
  '*': times,
  '/': divide,
  '//': floorDivide,
  '%': modulo,
  '**': power,
}

/** `a operator b`. */
export function operate(operator: Operator, a: Value, b: Value): Value {
  const result = NUMERIC[operator](a, b) ?? onOthers(operator, a, b)
  if (result !== undefined) return result
  if (a instanceof Undefined) return a.fail()
  if (b instanceof Undefined) return b.fail()
  throw new TemplateFault(`unsupported operand type(s) for ${operator}: '${typeName(a)}' and '${typeName(b)}'`)
}

function onOthers(operator: Operator, a: Value, b: Value): Value | undefined {
  if (operator === '+') return joinedPair(a, b)
  if (operator === '%') return isText(a) ? percentFormat(a, b) : undefined
  if (operator !== '*') return undefined
  return isInt(b) ? repeated(a, indexOf(b)) : isInt(a) ? repeated(b, indexOf(a)) : undefined
}

export function add(a: Value, b: Value): Value {
  if (typeof a === 'string' && typeof b === 'string') return joinedText(a, b)
  return operate('+', a, b)
}

function joinedText(a: string, b: string): string {
  takeJoined(a.length + b.length, Math.max(a.length, b.length))
  return a + b
}

function joinedPair(a: Value, b: Value): Value | undefined {
  if (isText(a) && isText(b)) {
    if (typeof a === 'string' && typeof b === 'string') return joinedText(a, b)
    return new Markup(joinedText(escaped(a), escaped(b)))
  }
  if (Array.isArray(a) && Array.isArray(b)) {
    take(8 * (a.length + b.length))
    return [...a, ...b]
  }
  if (a instanceof Tuple && b instanceof Tuple) {
    take(8 * (a.items.length + b.items.length))
    return new Tuple([...a.items, ...b.items])
  }
  return undefined
}

function repeated(value: Value, count: number): Value | undefined {
  const times = Math.max(0, count)
  if (isText(value)) {
    const source = textOf(value)
    if (source !== '') take(source.length * times)
    const result = source === '' ? '' : source.repeat(times)
    return typeof value === 'string' ? result : new Markup(result)
  }
  const items = Array.isArray(value) ? value : value instanceof Tuple ? value.items : undefined
  if (items === undefined) return undefined
  if (items.length > 0) take(8 * items.length * times)
  const all = items.length === 0 ? [] : (Array.from({ length: times }, () => items).flat() as Value[])
  return Array.isArray(value) ? all : new Tuple(all)
}

/** What a value is in HTML. */
export function escaped(value: Value): string {
  if (value instanceof Markup) return value.text
  const plain = text(value)
  take(plain.length)
  return escapeMarkup(plain)
}

export function negate(value: Value): Value {
  return negated(value) ?? badUnary('-', value)
}

export function positive(value: Value): Value {
  if (!isNumber(value)) return badUnary('+', value)
  return value instanceof Float ? value : (plus(value, 0) as Value)
}

function badUnary(sign: string, value: Value): never {
  if (value instanceof Undefined) return value.fail()
  throw new TemplateFault(`bad operand type for unary ${sign}: '${typeName(value)}'`)
}

/** `a ~ b ~ ...` outside of autoescape: the texts of all, joined. */
export function concatenate(values: readonly Value[]): string {
  return joinedTexts(values.map(text))
}

/** `a ~ b ~ ...` under autoescape: with Markup among them, everything is escaped. */
export function concatenateMarkup(values: readonly Value[]): Value {
  if (!values.some((value) => value instanceof Markup)) return concatenate(values)
  return new Markup(joinedTexts(values.map(escaped)))
}

function joinedTexts(texts: readonly string[]): string {
  let out = ''
  let longest = 0
  for (const one of texts) {
    out += one
    if (one.length > longest) longest = one.length
  }
  takeJoined(out.length, longest)
  return out
}
