import { floatOf, isNumber } from './arithmetic'
import { take } from './budget'
import { type FloatStyle, styled } from './decimals'
import { Dict } from './dict'
import { TemplateFault } from './fault'
import { Float } from './float'
import { characterOf } from './format-spec'
import { intText, parseFloatText, parseInteger } from './number-text'
import { asciiRepr, repr, text } from './repr'
import { escapeMarkup, lengthOf, pointSlice } from './text'
import { intOf, isInt, isText, Markup, normalInt, Range, Tuple, textOf, typeName, Undefined, type Value } from './value'

/** `format % args` of str; Markup escapes what it is given. */
export function percentFormat(format: string | Markup, args: Value): Value {
  if (typeof format === 'string') return new Percent(format, args, false).run()
  return new Markup(new Percent(format.text, args, true).run())
}

const DIRECTIVE = /([-+ #0]*)(\*|\d+)?(?:\.(\*|\d+)?)?[hlL]?(.)?/suy

class Percent {
  /** The places of the tuple used so far; for a single value, whether it was. */
  private used = 0
  private values: readonly Value[]
  private readonly mapping: boolean

  constructor(
    private readonly format: string,
    private readonly args: Value,
    private readonly markup: boolean,
  ) {
    this.values = args instanceof Tuple ? args.items : [args]
    this.mapping = args instanceof Dict || Array.isArray(args) || args instanceof Range || args instanceof Undefined
  }

  run(): string {
    const { format } = this
    let out = ''
    for (let at = 0; ; ) {
      const percent = format.indexOf('%', at)
      out += format.slice(at, percent === -1 ? undefined : percent)
      if (percent === -1) break
      at = this.key(percent + 1)
      DIRECTIVE.lastIndex = at
      const found = DIRECTIVE.exec(format)!
      at = DIRECTIVE.lastIndex
      const part = this.directive(found)
      take(part.length)
      out += part
    }
    if (this.used < this.values.length && !this.mapping)
      throw new TemplateFault('not all arguments converted during string formatting')
    return out
  }

  /** Reads `(key)`, whose value becomes the argument, and gives where the directive goes on. */
  private key(at: number): number {
    if (this.format[at] !== '(') return at
    if (!this.mapping) throw new TemplateFault('format requires a mapping')
    let depth = 1
    let end = at + 1
    for (; end < this.format.length; end++) {
      if (this.format[end] === '(') depth++
      else if (this.format[end] === ')' && --depth === 0) break
    }
    if (depth > 0) throw new TemplateFault('incomplete format key')
    const key = this.format.slice(at + 1, end)
    if (this.args instanceof Undefined) return this.args.fail()
    const value = this.args instanceof Dict ? this.args.get(key) : undefined
    if (value === undefined) throw new TemplateFault(`'${key}'`)
    this.values = [value]
    this.used = 0
    return end + 1
  }

  private next(): Value {
    if (this.used >= this.values.length) throw new TemplateFault('not enough arguments for format string')
    return this.values[this.used++]
  }

  private star(given: string | undefined): number | undefined {
    if (given !== '*') return given === undefined ? undefined : Number(given)
    const value = this.next()
    if (!isInt(value)) throw new TemplateFault('* wants int')
    return Number(value)
  }

  private directive([whole, flagText, widthText, precisionText, type]: RegExpExecArray): string {
    if (whole === '%') return '%'
    let width = this.star(widthText) ?? 0
    let flags = flagText
    if (width < 0) {
      flags += '-'
      width = -width
    }
    const dot = /^[-+ #0]*(?:\*|\d+)?\./.test(whole)
    const precision = dot ? Math.max(0, this.star(precisionText) ?? 0) : undefined
    if (type === undefined) throw new TemplateFault('incomplete format')
    const [sign, body, numeric] = this.converted(type, flags, precision)
    const missing = width - sign.length - lengthOf(body)
    if (missing <= 0) return sign + body
    take(missing)
    if (flags.includes('-')) return sign + body + ' '.repeat(missing)
    return numeric && flags.includes('0') ? sign + '0'.repeat(missing) + body : ' '.repeat(missing) + sign + body
  }

  private converted(type: string, flags: string, precision: number | undefined): [string, string, boolean] {
    if ('sra'.includes(type)) {
      const value = this.next()
      const plain = type === 's' ? text(value) : type === 'r' ? repr(value) : asciiRepr(value)
      const escaped = this.markup && !(type === 's' && value instanceof Markup) ? escapeMarkup(plain) : plain
      return ['', precision === undefined ? escaped : pointSlice(escaped, 0, precision), false]
    }
    if (type === 'c') return ['', this.character(this.next()), false]
    if ('diuxXo'.includes(type)) return this.integer(type, flags, precision)
    const argument = this.next()
    if (!'eEfFgG'.includes(type)) throw new TemplateFault(`unsupported format character '${type}'`)
    const value = floatOf(this.real(argument, 'must be real number, not '))
    const body = styled(value, type.toLowerCase() as FloatStyle, precision ?? 6, flags.includes('#'))
    const negative = value < 0 || Object.is(value, -0)
    return [signOf(negative, flags), type < 'a' ? body.toUpperCase() : body, true]
  }

  private character(value: Value): string {
    if (!this.markup && isInt(value)) return characterOf(intOf(value))
    if (!this.markup && isText(value) && lengthOf(textOf(value)) === 1) return textOf(value)
    throw new TemplateFault('%c requires int or char')
  }

  private integer(type: string, flags: string, precision: number | undefined): [string, string, boolean] {
    const value = this.next()
    const radix = type === 'o' ? 8 : type === 'x' || type === 'X' ? 16 : 10
    if (radix !== 10 && (!isInt(value) || this.markup)) {
      if (value instanceof Undefined) value.fail()
      throw new TemplateFault(`%${type} format: an integer is required, not ${typeName(value)}`)
    }
    const real = this.real(value, `%${type} format: a real number is required, not `)
    const int = real instanceof Float ? wholePart(+real) : intOf(real)
    const size = int < 0 ? -int : int
    let digits = (radix === 10 ? intText(size) : size.toString(radix)).padStart(precision ?? 0, '0')
    if (type === 'X') digits = digits.toUpperCase()
    const prefix = flags.includes('#') && radix !== 10 ? `0${type}` : ''
    return [signOf(int < 0, flags) + prefix, digits, true]
  }

  /** The number a value is; Markup also reads texts. */
  private real(value: Value, complaint: string): number | bigint | boolean | Float {
    if (isNumber(value)) return value
    if (value instanceof Undefined) return value.fail()
    const read =
      this.markup && isText(value) ? (parseInteger(textOf(value)) ?? parseFloatText(textOf(value))) : undefined
    if (read === undefined) throw new TemplateFault(complaint + typeName(value))
    return read
  }
}

function signOf(negative: boolean, flags: string): string {
  if (negative) return '-'
  return flags.includes('+') ? '+' : flags.includes(' ') ? ' ' : ''
}

/** `int()` of a float. */
export function wholePart(value: number): number | bigint {
  if (Number.isNaN(value)) throw new TemplateFault('cannot convert float NaN to integer')
  if (!Number.isFinite(value)) throw new TemplateFault('cannot convert float infinity to integer')
  return normalInt(BigInt(Math.trunc(value)))
}
