import { take } from './budget'
import { TemplateFault } from './fault'
import { Float } from './float'
import { complexNumber, intOf, isInt, normalInt, type Value } from './value'

/** Python's arithmetic of ints and floats. Each function gives undefined for operands that are no numbers. */

/** Longer integers would take the rendering's time and memory by themselves. */
const MOST_BITS = 1_000_000

type Int = number | bigint

/** The length of an integer in binary. */
function bits(value: bigint): number {
  const digits = (value < 0n ? -value : value).toString(16)
  return (digits.length - 1) * 4 + Number.parseInt(digits[0], 16).toString(2).length
}

function checked(value: bigint): Int {
  const size = bits(value)
  take(size / 8)
  if (size > MOST_BITS) throw new TemplateFault(`an integer of more than ${MOST_BITS} bits is too large`)
  return normalInt(value)
}

export function isNumber(value: Value): value is number | bigint | boolean | Float {
  return isInt(value) || value instanceof Float
}

/** The float a number is, as `float()` makes it. */
export function floatOf(value: number | bigint | boolean | Float): number {
  const number = Number(value)
  if (!Number.isFinite(number) && typeof value === 'bigint')
    throw new TemplateFault('int too large to convert to float')
  return number
}

type Operation = { ints: (a: Int, b: Int) => Int | Float; floats: (a: number, b: number) => number }

function arithmetic({ ints, floats }: Operation) {
  return (a: Value, b: Value): Value | undefined => {
    if (!isNumber(a) || !isNumber(b)) return undefined
    if (isInt(a) && isInt(b)) return ints(intOf(a), intOf(b))
    return new Float(floats(floatOf(a), floatOf(b)))
  }
}

/** An operation on ints that is done in numbers while those are exact. */
function onInts(small: (a: number, b: number) => number, large: (a: bigint, b: bigint) => bigint) {
  return (a: Int, b: Int): Int => {
    if (typeof a === 'number' && typeof b === 'number') {
      const result = small(a, b)
      // Adding zero takes the sign off a negative zero.
      if (Number.isSafeInteger(result)) return result + 0
    }
    return checked(large(BigInt(a), BigInt(b)))
  }
}

export const plus = arithmetic({
  ints: onInts(
    (a, b) => a + b,
    (a, b) => a + b,
  ),
  floats: (a, b) => a + b,
})
export const minus = arithmetic({
  ints: onInts(
    (a, b) => a - b,
    (a, b) => a - b,
  ),
  floats: (a, b) => a - b,
})
export const times = arithmetic({
  ints: onInts(
    (a, b) => a * b,
    (a, b) => {
      if (bits(a) + bits(b) > 2 * MOST_BITS) throw new TemplateFault('an integer is too large')
      return a * b
    },
  ),
  floats: (a, b) => a * b,
})

function nonZero(value: Int, what: string): void {
  if (value === 0) throw new TemplateFault(what)
}

export const divide = arithmetic({
  ints: (a, b) => {
    nonZero(b, 'division by zero')
    return new Float(typeof a === 'number' && typeof b === 'number' ? a / b : ratio(BigInt(a), BigInt(b)))
  },
  floats: (a, b) => {
    nonZero(b, 'float division by zero')
    return a / b
  },
})

/** A ratio of large integers, rounded once. */
function ratio(a: bigint, b: bigint): number {
  const negative = a < 0n !== b < 0n
  const [top, bottom] = [a < 0n ? -a : a, b < 0n ? -b : b]
  const shift = 70 + bits(bottom) - bits(top)
  const numerator = shift > 0 ? top << BigInt(shift) : top
  const denominator = shift < 0 ? bottom << BigInt(-shift) : bottom
  const quotient = numerator / denominator
  // Whatever is left over only matters for which way a half is rounded.
  const sticky = numerator % denominator === 0n ? quotient : quotient | 1n
  const size = Number(sticky) * 2 ** -shift
  if (!Number.isFinite(size)) throw new TemplateFault('integer division result too large for a float')
  return negative ? -size : size
}

export const floorDivide = arithmetic({
  ints: (a, b) => {
    nonZero(b, 'integer division or modulo by zero')
    return floorInts(a, b)
  },
  floats: (a, b) => {
    nonZero(b, 'float floor division by zero')
    return floatDivMod(a, b)[0]
  },
})

const floorInts = onInts(
  (a, b) => {
    const rest = a % b
    const quotient = (a - rest) / b
    return rest !== 0 && rest < 0 !== b < 0 ? quotient - 1 : quotient
  },
  (a, b) => {
    const rest = a % b
    return rest !== 0n && rest < 0n !== b < 0n ? a / b - 1n : a / b
  },
)

export const modulo = arithmetic({
  ints: (a, b) => {
    nonZero(b, 'integer modulo by zero')
    return moduloInts(a, b)
  },
  floats: (a, b) => {
    nonZero(b, 'float modulo')
    return floatDivMod(a, b)[1]
  },
})

const moduloInts = onInts(
  (a, b) => {
    const rest = a % b
    return rest !== 0 && rest < 0 !== b < 0 ? rest + b : rest
  },
  (a, b) => {
    const rest = a % b
    return rest !== 0n && rest < 0n !== b < 0n ? rest + b : rest
  },
)

const withSign = (size: number, sign: number) => (sign < 0 || Object.is(sign, -0) ? -size : size)

/** Python's `divmod` of floats: the remainder has the divisor's sign. */
function floatDivMod(a: number, b: number): [number, number] {
  let rest = a % b
  let quotient = (a - rest) / b
  if (rest === 0) rest = withSign(0, b)
  else if (b < 0 !== rest < 0) {
    rest += b
    quotient -= 1
  }
  if (quotient === 0) return [withSign(0, a / b), rest]
  const floor = Math.floor(quotient)
  return [quotient - floor > 0.5 ? floor + 1 : floor, rest]
}

export function power(a: Value, b: Value): Value | undefined {
  if (!isNumber(a) || !isNumber(b)) return undefined
  if (isInt(a) && isInt(b) && intOf(b) >= 0) return intPower(intOf(a), intOf(b))
  return new Float(floatPower(floatOf(a), floatOf(b)))
}

function intPower(base: Int, exponent: Int): Int {
  const large = BigInt(base)
  if (large === 0n || large === 1n) return exponent === 0 ? 1 : base
  if (large === -1n) return BigInt(exponent) % 2n === 0n ? 1 : -1
  if (Number(exponent) * (bits(large) - 1) > MOST_BITS)
    throw new TemplateFault(`an integer of more than ${MOST_BITS} bits is too large`)
  return checked(large ** BigInt(exponent))
}

function floatPower(base: number, exponent: number): number {
  if (base === 0 && exponent < 0) throw new TemplateFault('0.0 cannot be raised to a negative power')
  // JavaScript gives NaN where C's pow does not care for the exponent.
  if (base === 1 || (base === -1 && !Number.isFinite(exponent) && !Number.isNaN(exponent))) return 1
  if (base < 0 && Number.isFinite(base) && Number.isFinite(exponent) && !Number.isInteger(exponent))
    return complexNumber()
  const result = base ** exponent
  if (!Number.isFinite(result) && Number.isFinite(base) && Number.isFinite(exponent))
    throw new TemplateFault('Numerical result out of range')
  return result
}

export function negated(value: Value): Value | undefined {
  if (value instanceof Float) return new Float(-value)
  if (!isInt(value)) return undefined
  const int = intOf(value)
  return typeof int === 'bigint' ? normalInt(-int) : 0 - int
}
