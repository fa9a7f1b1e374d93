import { refuseUndefined } from './members'
import { contains } from './predicates'
import { compare, equals, Float, numberOf, repr, TemplateFault, Tuple, text, typeName, type Value } from './values'

function isFloat(a: Value, b: Value): boolean {
  return a instanceof Float || b instanceof Float
}

function arithmetic(operator: string, a: Value, b: Value): Value | undefined {
  const x = numberOf(a)
  const y = numberOf(b)
  if (x === undefined || y === undefined) return undefined
  const made = (value: number): Value => (isFloat(a, b) ? new Float(value) : value)
  switch (operator) {
    case '+':
      return made(x + y)
    case '-':
      return made(x - y)
    case '*':
      return made(x * y)
    case '**':
      return y < 0 ? new Float(x ** y) : made(x ** y)
  }
  if (y === 0) throw new TemplateFault('division by zero')
  if (operator === '/') return new Float(x / y)
  if (operator === '//') return made(Math.floor(x / y))
  if (operator === '%') return made(x - y * Math.floor(x / y))
  return undefined
}

function repeat(value: Value, times: Value, size: number): Value | undefined {
  const n = typeof times === 'number' ? Math.max(0, times) : undefined
  if (n === undefined || !(typeof value === 'string' || Array.isArray(value))) return undefined
  if (n * Math.max(1, value.length) > size) throw new TemplateFault('the text becomes too long')
  if (typeof value === 'string') return value.repeat(n)
  return Array.from({ length: n }, () => value).flat()
}

/** `"%s of %d" % (a, b)`. */
function printf(format: string, given: Value): string {
  const values = given instanceof Tuple ? [...given] : [given]
  return format.replace(
    /%(?:%|(0?)(\d{0,3})(?:\.(\d{1,2}))?([sdifrx]))/g,
    (whole, zero: string, width: string, digits: string, kind: string) => {
      if (whole === '%%') return '%'
      const value = values.shift()
      if (value === undefined) throw new TemplateFault('not enough arguments for format string')
      const number = numberOf(value) ?? 0
      const out =
        kind === 's'
          ? text(value)
          : kind === 'r'
            ? repr(value)
            : kind === 'f'
              ? number.toFixed(digits === undefined ? 6 : Number(digits))
              : kind === 'x'
                ? Math.trunc(number).toString(16)
                : String(Math.trunc(number))
      return out.padStart(Number(width || 0), zero ? '0' : ' ')
    },
  )
}

/** What a binary operator other than `and` and `or` gives. */
export function binary(operator: string, a: Value, b: Value, size: number): Value {
  switch (operator) {
    case '==':
      return equals(a, b)
    case '!=':
      return !equals(a, b)
    case '~':
      return text(a) + text(b)
    case 'in':
    case 'not in':
      return contains(b, a) === (operator === 'in')
  }
  for (const side of [a, b]) refuseUndefined(side)
  if (operator === '<') return compare(a, b) < 0
  if (operator === '>') return compare(a, b) > 0
  if (operator === '<=') return compare(a, b) <= 0
  if (operator === '>=') return compare(a, b) >= 0
  const number = arithmetic(operator, a, b)
  if (number !== undefined) return number
  if (operator === '+') {
    if (typeof a === 'string' && typeof b === 'string') return a + b
    if (a instanceof Tuple && b instanceof Tuple) return Tuple.from([...a, ...b])
    if (Array.isArray(a) && Array.isArray(b)) return [...a, ...b]
    if (typeof a === 'string') throw new TemplateFault(`can only concatenate str (not "${typeName(b)}") to str`)
  }
  if (operator === '*') {
    const out = repeat(a, b, size) ?? repeat(b, a, size)
    if (out !== undefined) return out
  }
  if (operator === '%' && typeof a === 'string') return printf(a, b)
  throw new TemplateFault(`unsupported operand type(s) for ${operator}: '${typeName(a)}' and '${typeName(b)}'`)
}
