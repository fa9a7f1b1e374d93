import { specialFloat } from './number-text'

/** How C's printf writes floats: correctly rounded from the exact binary value, halves to even. JavaScript's `toFixed` rounds halves up. */

/** `|x| * 10^decimals`, rounded to an integer; `x` finite. */
export function scaled(x: number, decimals: number): bigint {
  const bits = new DataView(new ArrayBuffer(8))
  bits.setFloat64(0, Math.abs(x))
  const word = bits.getBigUint64(0)
  const exponent = Number(word >> 52n)
  const fraction = word & 0xfffffffffffffn
  let numerator = exponent === 0 ? fraction : fraction | 0x10000000000000n
  let denominator = 1n
  const shift = (exponent === 0 ? 1 : exponent) - 1075
  if (shift >= 0) numerator <<= BigInt(shift)
  else denominator <<= BigInt(-shift)
  if (decimals >= 0) numerator *= 10n ** BigInt(decimals)
  else denominator *= 10n ** BigInt(-decimals)
  return roundedRatio(numerator, denominator)
}

/** A ratio of non-negative integers, rounded to an integer, halves to even. */
export function roundedRatio(numerator: bigint, denominator: bigint): bigint {
  const quotient = numerator / denominator
  const twice = (numerator % denominator) * 2n
  return twice > denominator || (twice === denominator && quotient % 2n === 1n) ? quotient + 1n : quotient
}

/** `%.Nf` of a non-negative finite number. */
export function fixed(x: number, decimals: number, point = false): string {
  const digits = scaled(x, decimals)
    .toString()
    .padStart(decimals + 1, '0')
  if (decimals === 0) return point ? `${digits}.` : digits
  return `${digits.slice(0, -decimals)}.${digits.slice(-decimals)}`
}

/** The digits and the power of ten of the first of them. */
function significant(x: number, count: number): [digits: string, exponent: number] {
  if (x === 0) return ['0'.repeat(count), 0]
  let exponent = Number(x.toExponential().split('e')[1])
  let digits = scaled(x, count - 1 - exponent).toString()
  if (digits.length > count) {
    exponent++
    digits = scaled(x, count - 1 - exponent).toString()
  }
  return [digits, exponent]
}

const withExponent = (digits: string, exponent: number, point: boolean) =>
  `${digits[0]}${digits.length > 1 || point ? '.' : ''}${digits.slice(1)}e${exponent < 0 ? '-' : '+'}${String(Math.abs(exponent)).padStart(2, '0')}`

/** `%.Ne` of a non-negative finite number. */
export function exponential(x: number, decimals: number, point = false): string {
  const [digits, exponent] = significant(x, decimals + 1)
  return withExponent(digits, exponent, point)
}

/** `%.Ng` of a non-negative finite number. `whole`: as `format` writes floats without a type, never without a point. */
export function general(x: number, precision: number, keepZeros = false, whole = false): string {
  const count = Math.max(1, precision)
  const [digits, exponent] = significant(x, count)
  const bare = keepZeros ? digits : digits.replace(/0+$/, '') || '0'
  if (exponent < -4 || exponent >= count - Number(whole)) return withExponent(bare, exponent, keepZeros)
  if (exponent < 0) return `0.${'0'.repeat(-exponent - 1)}${bare}`
  const before = bare.slice(0, exponent + 1).padEnd(exponent + 1, '0')
  const after = bare.slice(exponent + 1)
  if (after === '') return whole ? `${before}.0` : keepZeros ? `${before}.` : before
  return `${before}.${after}`
}

export type FloatStyle = 'e' | 'f' | 'g'

/** The number without its sign in one of printf's styles, `inf` and `nan` included. */
export function styled(x: number, style: FloatStyle, precision: number, alternate: boolean): string {
  const size = Math.abs(x)
  const special = specialFloat(size)
  if (special) return special
  if (style === 'f') return fixed(size, precision, alternate)
  return style === 'e' ? exponential(size, precision, alternate) : general(size, precision, alternate)
}
