import { TemplateFault } from './fault'
import { Float } from './float'
import { isSpace, SPACE } from './text'
import { normalInt } from './value'

/** Python refuses to print longer ones, which would take quadratic time. */
const MOST_DIGITS = 4300

/** `str()` of an int. */
export function intText(value: number | bigint): string {
  if (typeof value === 'number') return String(value)
  // A hexadecimal digit is 1.2 decimal ones, and is found in linear time.
  if (value.toString(16).length > MOST_DIGITS)
    throw new TemplateFault(`Exceeds the limit (${MOST_DIGITS} digits) for integer string conversion`)
  const text = value.toString()
  if (text.length - Number(value < 0n) > MOST_DIGITS)
    throw new TemplateFault(`Exceeds the limit (${MOST_DIGITS} digits) for integer string conversion`)
  return text
}

/** `str()` of a float: the shortest digits that give it back, always with a point or an exponent of two digits. */
export function floatText(x: number): string {
  const special = specialFloat(x)
  if (special) return special
  const size = Math.abs(x)
  if (size !== 0 && (size >= 1e16 || size < 1e-4)) {
    const [digits, exponent] = x.toExponential().split('e')
    return `${digits}e${exponent[0]}${exponent.slice(1).padStart(2, '0')}`
  }
  const text = Object.is(x, -0) ? '-0' : String(x)
  return text.includes('.') ? text : `${text}.0`
}

export function specialFloat(x: number): string | undefined {
  if (Number.isNaN(x)) return 'nan'
  return Number.isFinite(x) ? undefined : x > 0 ? 'inf' : '-inf'
}

/** Decimal digits of any script as ASCII ones. */
function plainDigits(text: string): string {
  return text.replace(/(?![0-9])\p{Nd}/gu, (digit) => {
    let before = 0
    // A script's ten digits follow each other, and begin where digits begin.
    while (/\p{Nd}/u.test(String.fromCodePoint(digit.codePointAt(0)! - before - 1))) before++
    return String(before % 10)
  })
}

const SPACED = new RegExp(`^[${SPACE}]+|[${SPACE}]+$`, 'g')
const DIGIT_VALUES = '0123456789abcdefghijklmnopqrstuvwxyz'

function trimmed(text: string): string {
  return isSpace(text[0] ?? '') || isSpace(text.at(-1) ?? '') ? text.replace(SPACED, '') : text
}

/** `int(text, base)`; undefined where Python raises a ValueError. */
export function parseInteger(text: string, base = 10): number | bigint | undefined {
  if (base !== 0 && (base < 2 || base > 36)) return undefined
  const found = /^([+-]?)(0[xob]_?)?([0-9a-z]+(?:_[0-9a-z]+)*)$/i.exec(plainDigits(trimmed(text)))
  if (!found) return undefined
  const [, sign, prefix = '', body] = found
  const named = { x: 16, o: 8, b: 2 }[prefix[1]?.toLowerCase() ?? '']
  let radix = base
  let digits = body
  if (named !== undefined && (base === 0 || base === named)) radix = named
  else {
    if (prefix.endsWith('_') && base !== 0) digits = `${prefix.slice(0, -1)}_${body}`
    else digits = prefix + body
    if (base === 0) {
      radix = 10
      if (/^0[0_]*[^0_]/.test(digits)) return undefined
    }
  }
  digits = digits.replaceAll('_', '').toLowerCase()
  const allowed = DIGIT_VALUES.slice(0, radix)
  for (const digit of digits) if (!allowed.includes(digit)) return undefined
  if (digits.length > MOST_DIGITS && (radix & (radix - 1)) !== 0) return undefined
  const small = Number.parseInt(digits, radix)
  const size = Number.isSafeInteger(small) ? small : normalInt(parseBig(digits, radix))
  // Zero has no sign.
  return sign === '-' && size !== 0 ? -size : size
}

function parseBig(digits: string, radix: number): bigint {
  const prefix = { 2: '0b', 8: '0o', 10: '', 16: '0x' }[radix]
  if (prefix !== undefined) return BigInt(prefix + digits)
  let value = 0n
  for (const digit of digits) value = value * BigInt(radix) + BigInt(DIGIT_VALUES.indexOf(digit))
  return value
}

/** `float(text)`; undefined where Python raises a ValueError. */
export function parseFloatText(text: string): Float | undefined {
  const plain = plainDigits(trimmed(text))
  const named = /^([+-]?)(?:(inf|infinity)|nan)$/i.exec(plain)
  if (named)
    return new Float(named[2] ? (named[1] === '-' ? Number.NEGATIVE_INFINITY : Number.POSITIVE_INFINITY) : Number.NaN)
  const digits = '[0-9]+(?:_[0-9]+)*'
  if (!new RegExp(`^[+-]?(?:${digits}\\.?(?:${digits})?|\\.${digits})(?:e[+-]?${digits})?$`, 'i').test(plain))
    return undefined
  return new Float(Number(plain.replaceAll('_', '')))
}
