import { floatOf } from './arithmetic'
import { take } from './budget'
import { type FloatStyle, fixed, general, styled } from './decimals'
import { TemplateFault } from './fault'
import { Float } from './float'
import { floatText, intText, specialFloat } from './number-text'
import { text } from './repr'
import { lengthOf, pointSlice } from './text'
import { intOf, isInt, isText, textOf, typeName, type Value } from './value'

/** The mini-language of `format(value, spec)`: `[[fill]align][sign][z][#][0][width][grouping][.precision][type]`. */
interface Spec {
  fill: string
  align: string
  sign: string
  noNegativeZero: boolean
  alternate: boolean
  width: number
  grouping: string
  precision: number | undefined
  type: string
}

const SPEC = /^(?:(.)?([<>=^]))?([-+ ])?(z)?(#)?(0)?(\d+)?([,_])?(?:\.(\d+))?([^\d.,_])?$/su

function parseSpec(spec: string, value: Value): Spec {
  const found = SPEC.exec(spec)
  if (!found) throw new TemplateFault(`Invalid format specifier '${spec}' for object of type '${typeName(value)}'`)
  const [, fill, align, sign = '', z, alternate, zero, width, grouping = '', precision, type = ''] = found
  const padding = zero !== undefined && align === undefined
  return {
    fill: fill ?? (zero === undefined ? ' ' : '0'),
    align: align ?? (padding && !isText(value) ? '=' : isText(value) ? '<' : '>'),
    sign,
    noNegativeZero: z !== undefined,
    alternate: alternate !== undefined,
    width: Number(width ?? 0),
    grouping,
    precision: precision === undefined ? undefined : Number(precision),
    type,
  }
}

/** `format(value, spec)`. */
export function formatValue(value: Value, spec: string): string {
  if (spec === '') return text(value)
  if (isText(value)) return formatText(textOf(value), parseSpec(spec, value))
  if (isInt(value)) return formatInt(intOf(value), parseSpec(spec, value))
  if (value instanceof Float) return formatFloat(+value, parseSpec(spec, value))
  throw new TemplateFault(`unsupported format string passed to ${typeName(value)}.__format__`)
}

function unknownType(type: string, name: string): never {
  throw new TemplateFault(`Unknown format code '${type}' for object of type '${name}'`)
}

function formatText(value: string, spec: Spec): string {
  if (spec.type !== '' && spec.type !== 's') unknownType(spec.type, 'str')
  if (spec.sign !== '' || spec.alternate || spec.align === '=' || spec.grouping !== '' || spec.noNegativeZero)
    throw new TemplateFault('Sign, alternate form, grouping and "=" are not allowed in string format specifier')
  return padded(spec.precision === undefined ? value : pointSlice(value, 0, spec.precision), spec)
}

function padded(body: string, { fill, align, width }: Spec): string {
  const missing = width - lengthOf(body)
  if (missing <= 0) return body
  take(missing)
  const left = align === '<' ? 0 : align === '^' ? Math.floor(missing / 2) : missing
  return fill.repeat(left) + body + fill.repeat(missing - left)
}

const RADIX: Record<string, number> = { b: 2, o: 8, x: 16, X: 16 }

function formatInt(value: number | bigint, spec: Spec): string {
  const { type, alternate } = spec
  if (/[eEfFgG%]/.test(type)) return formatFloat(floatOf(value), spec)
  if (spec.precision !== undefined) throw new TemplateFault('Precision not allowed in integer format specifier')
  if (spec.noNegativeZero) throw new TemplateFault('Negative zero coercion (z) not allowed in integer format specifier')
  if (type === 'c') {
    if (spec.sign !== '' || alternate) throw new TemplateFault("Sign not allowed with integer format specifier 'c'")
    return padded(characterOf(value), spec)
  }
  if (type === 'n' && spec.grouping !== '') throw new TemplateFault(`Cannot specify '${spec.grouping}' with 'n'.`)
  const radix = RADIX[type] ?? 10
  if (radix !== 10 && spec.grouping === ',') throw new TemplateFault(`Cannot specify ',' with '${type}'.`)
  if (radix === 10 && type !== '' && type !== 'd' && type !== 'n') unknownType(type, 'int')
  const size = value < 0 ? -value : value
  const digits = radix === 10 ? intText(size) : size.toString(radix)
  const prefix = alternate && radix !== 10 ? `0${type}` : ''
  return formatDigits(value < 0, prefix, type === 'X' ? digits.toUpperCase() : digits, '', spec, radix === 10 ? 3 : 4)
}

export function characterOf(value: number | bigint): string {
  if (value < 0 || value > 0x10ffff) throw new TemplateFault('%c arg not in range(0x110000)')
  return String.fromCodePoint(Number(value))
}

function formatFloat(value: number, spec: Spec): string {
  const { type, precision, alternate } = spec
  if (type !== '' && !/[eEfFgGn%]/.test(type)) unknownType(type, 'float')
  if (type === 'n' && spec.grouping !== '') throw new TemplateFault(`Cannot specify '${spec.grouping}' with 'n'.`)
  let body: string
  if (specialFloat(value)) body = specialFloat(Math.abs(value))! + (type === '%' ? '%' : '')
  else if (type === '') body = plainFloat(Math.abs(value), precision, alternate)
  else if (type === '%') body = `${fixed(Math.abs(value * 100), precision ?? 6, alternate)}%`
  else body = styled(value, (type === 'n' ? 'g' : type.toLowerCase()) as FloatStyle, precision ?? 6, alternate)
  if (/[EFG]/.test(type)) body = body.toUpperCase()
  const zero = spec.noNegativeZero && !/[1-9a-z]/i.test(body.replace(/e.*/i, ''))
  const negative = !zero && (value < 0 || Object.is(value, -0))
  const [, digits, rest] = /^(\d*)(.*)$/s.exec(body)!
  return formatDigits(negative, '', digits, rest, spec, 3)
}

function plainFloat(size: number, precision: number | undefined, alternate: boolean): string {
  if (precision !== undefined) return general(size, precision, alternate, true)
  const shortest = floatText(size)
  return alternate && shortest.includes('e') && !shortest.includes('.') ? shortest.replace('e', '.e') : shortest
}

function formatDigits(
  negative: boolean,
  prefix: string,
  digits: string,
  rest: string,
  spec: Spec,
  group: number,
): string {
  const sign = negative ? '-' : spec.sign === '-' ? '' : spec.sign
  const { grouping, fill, align, width } = spec
  const grouped = (text: string) =>
    grouping === '' ? text : text.replace(group === 3 ? /\B(?=(...)+$)/g : /\B(?=(....)+$)/g, grouping)
  let whole = grouped(digits)
  const length = () => sign.length + prefix.length + whole.length + rest.length
  if (align !== '=') return padded(sign + prefix + whole + rest, spec)
  if (width > length()) take(width)
  if (fill === '0' && grouping !== '' && digits !== '')
    for (let more = digits.length + 1; length() < width; more++) whole = grouped(digits.padStart(more, '0'))
  return sign + prefix + fill.repeat(Math.max(0, width - length())) + whole + rest
}
