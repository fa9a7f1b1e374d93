import { floatOf, isNumber, negated } from '../values/arithmetic'
import { inOrder } from '../values/compare'
import { fixed, roundedRatio, scaled } from '../values/decimals'
import { TemplateFault } from '../values/fault'
import { Float } from '../values/float'
import { parseFloatText, parseInteger } from '../values/number-text'
import { operate } from '../values/operators'
import { wholePart } from '../values/percent-format'
import {
  indexOf,
  intOf,
  isInt,
  isText,
  normalInt,
  textOf,
  truthy,
  typeName,
  Undefined,
  type Value,
} from '../values/value'
import { type Filter, filter } from './filter'

function absolute(value: Value): Value {
  if (!isNumber(value)) throw new TemplateFault(`bad operand type for abs(): '${typeName(value)}'`)
  if (value instanceof Float) return new Float(Math.abs(+value))
  return inOrder(value, '<', 0) ? negated(value)! : intOf(value)
}

function toInt(value: Value, [otherwise = 0, base = 10]: readonly (Value | undefined)[]): Value {
  if (isInt(value)) return intOf(value)
  if (value instanceof Undefined) return value.fail()
  if (value instanceof Float) return Number.isNaN(+value) ? otherwise : wholePart(+value)
  if (!isText(value)) return otherwise
  const read = parseInteger(textOf(value), indexOf(base))
  if (read !== undefined) return read
  const float = parseFloatText(textOf(value))
  return float !== undefined && Number.isFinite(+float) ? wholePart(+float) : otherwise
}

function toFloat(value: Value, [otherwise = new Float(0)]: readonly (Value | undefined)[]): Value {
  if (isNumber(value)) return new Float(floatOf(value))
  if (value instanceof Undefined) return value.fail()
  return (isText(value) ? parseFloatText(textOf(value)) : undefined) ?? otherwise
}

/** Python's `round`: to the nearest, exact halves to even, of the number's exact value. */
function rounded(value: Value, precision: number): Value {
  if (isInt(value)) return roundedInt(intOf(value), precision)
  if (!(value instanceof Float)) {
    if (value instanceof Undefined) value.fail()
    throw new TemplateFault(`type ${typeName(value)} doesn't define __round__ method`)
  }
  const number = +value
  if (!Number.isFinite(number) || number === 0 || precision > 323) return value
  if (precision < -308) return new Float(number < 0 ? -0 : 0)
  const size =
    precision >= 0
      ? Number(fixed(Math.abs(number), precision))
      : Number(scaled(number, precision) * 10n ** BigInt(-precision))
  if (!Number.isFinite(size)) throw new TemplateFault('rounded value too large to represent')
  return new Float(number < 0 ? -size : size)
}

function roundedInt(value: number | bigint, precision: number): number | bigint {
  if (precision >= 0) return value
  if (precision < -5000) return 0
  const large = BigInt(value)
  const unit = 10n ** BigInt(-precision)
  const size = roundedRatio(large < 0n ? -large : large, unit) * unit
  return normalInt(large < 0n ? -size : size)
}

function round(value: Value, [precision = 0, method = 'common']: readonly (Value | undefined)[]): Value {
  const way = isText(method) ? textOf(method) : ''
  if (!['common', 'ceil', 'floor'].includes(way)) throw new TemplateFault('method must be common, ceil or floor')
  if (way === 'common') return rounded(value, indexOf(precision))
  const unit = operate('**', 10, precision)
  const large = operate('*', value, unit)
  if (!isNumber(large)) throw new TemplateFault(`must be real number, not ${typeName(large)}`)
  const whole = isInt(large) ? intOf(large) : wholePart(way === 'ceil' ? Math.ceil(+large) : Math.floor(+large))
  return operate('/', whole, unit)
}

const PREFIXES = ['k', 'M', 'G', 'T', 'P', 'E', 'Z', 'Y']

function fileSize(value: Value, [binary = false]: readonly (Value | undefined)[]): string {
  const read = isText(value) ? parseFloatText(textOf(value)) : isNumber(value) ? new Float(floatOf(value)) : undefined
  if (read === undefined) {
    if (value instanceof Undefined) value.fail()
    throw new TemplateFault('could not convert the value to a size')
  }
  const bytes = +read
  const base = truthy(binary) ? 1024 : 1000
  if (bytes === 1) return '1 Byte'
  if (bytes < base) return `${wholePart(bytes)} Bytes`
  const found = PREFIXES.findIndex((_, i) => bytes < base ** (i + 2))
  const place = found === -1 ? PREFIXES.length - 1 : found
  const unit = truthy(binary) ? `${PREFIXES[place].toUpperCase()}iB` : `${PREFIXES[place]}B`
  const size = (base * bytes) / base ** (place + 2)
  if (!Number.isFinite(size)) return `${Number.isNaN(size) ? 'nan' : 'inf'} ${unit}`
  return `${fixed(size, 1)} ${unit}`
}

export const NUMBER_FILTERS: Record<string, Filter> = {
  abs: filter('', absolute),
  filesizeformat: filter('binary?', fileSize),
  float: filter('default?', toFloat),
  int: filter('default? base?', toInt),
  round: filter('precision? method?', round),
}
