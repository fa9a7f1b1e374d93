import { isFloatText, jsonKeys, jsonNumberText } from '@tunesmith/core'
import { Dict } from './dict'
import { TemplateFault } from './fault'
import { Float } from './float'
import { normalInt, undefinedName, type Value } from './value'

/** A whole number from here on is printed with an exponent by JavaScript, and taken as a float. */
const LARGEST_INT = 1e21

/**
 * The template value of a JavaScript one: whole numbers and bigints are ints, other numbers and `Number` objects floats,
 * arrays lists, `Map`s and plain objects dicts. What was read with `parseExactJson` keeps what its text said: `20.0` is
 * a float, long integers have all digits, keys have their order.
 *
 * @throws {TemplateFault} for functions and other values that have no counterpart.
 */
export function fromJavaScript(input: unknown, name = 'value'): Value {
  switch (typeof input) {
    case 'string':
    case 'boolean':
      return input
    case 'number':
      return numberValue(input)
    case 'bigint':
      return normalInt(input)
    case 'undefined':
      return undefinedName(name)
    case 'object':
      return input === null ? null : fromObject(input)
    default:
      throw new TemplateFault(`a ${typeof input} cannot be given to a template ('${name}')`)
  }
}

function numberValue(input: number): Value {
  // Adding zero takes the sign off a negative zero, which an int does not have.
  if (Number.isSafeInteger(input)) return input + 0
  return Number.isInteger(input) && Math.abs(input) < LARGEST_INT ? BigInt(input) : new Float(input)
}

function fromObject(input: object): Value {
  if (Array.isArray(input)) return input.map((item, i) => fromItem(input, i, item, 'item'))
  if (input instanceof Number) return new Float(input)
  const dict = new Dict()
  if (input instanceof Map) {
    for (const [key, value] of input) dict.set(fromJavaScript(key), fromJavaScript(value, String(key)))
    return dict
  }
  for (const key of jsonKeys(input)) {
    const value = (input as Record<string, unknown>)[key]
    if (value !== undefined && typeof value !== 'function') dict.set(key, fromItem(input, key, value, key))
  }
  return dict
}

/** A value inside of another, with the text that its number was read from. */
export function fromItem(owner: object, key: string | number, value: unknown, name: string): Value {
  const text = typeof value === 'number' ? jsonNumberText(owner, key) : undefined
  if (text === undefined) return fromJavaScript(value, name)
  return isFloatText(text) ? new Float(value as number) : normalInt(BigInt(text))
}
