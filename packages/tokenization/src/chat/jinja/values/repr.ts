import { step, take } from './budget'
import { Dict, DictView, Namespace } from './dict'
import { Float } from './float'
import { floatText, intText } from './number-text'
import { isInt, Markup, Tuple, Undefined, type Value } from './value'

/** `str()`. */
export function text(value: Value): string {
  if (typeof value === 'string') return value
  if (typeof value === 'number') return String(value)
  if (value instanceof Markup) return value.text
  return value instanceof Undefined ? '' : repr(value)
}

/** `repr()`. */
export function repr(value: Value): string {
  step()
  if (value === null) return 'None'
  if (typeof value === 'string') return reprText(value)
  if (typeof value === 'boolean') return value ? 'True' : 'False'
  if (isInt(value)) return intText(value as number | bigint)
  if (value instanceof Float) return floatText(+value)
  if (value instanceof Undefined) return 'Undefined'
  if (value instanceof Markup) return `Markup(${reprText(value.text)})`
  if (Array.isArray(value)) return `[${joined(value)}]`
  if (value instanceof Tuple) return `(${joined(value.items)}${value.items.length === 1 ? ',' : ''})`
  if (value instanceof Dict) return reprDict(value)
  if (value instanceof DictView) return `${value.typeName}([${joined(value.iterate())}])`
  if (value instanceof Namespace) return `<Namespace ${reprDict(value.fields)}>`
  return value.repr()
}

function joined(items: readonly Value[]): string {
  let out = ''
  for (let i = 0; i < items.length; i++) {
    const part = i === 0 ? repr(items[i]) : `, ${repr(items[i])}`
    take(part.length)
    out += part
  }
  return out
}

function reprDict(dict: Dict): string {
  let out = ''
  for (const [key, value] of dict.items()) {
    const part = `${out === '' ? '' : ', '}${repr(key)}: ${repr(value)}`
    take(part.length)
    out += part
  }
  return `{${out}}`
}

const PLAIN = /^[ !#-&(-[\]-~]*$/
const ESCAPES: Record<string, string> = { '\\': '\\\\', '\n': '\\n', '\r': '\\r', '\t': '\\t' }

function reprText(value: string): string {
  take(value.length)
  if (PLAIN.test(value)) return `'${value}'`
  const quote = value.includes("'") && !value.includes('"') ? '"' : "'"
  let out = ''
  for (const character of value) {
    if (ESCAPES[character]) out += ESCAPES[character]
    else if (character === quote) out += `\\${character}`
    else if (character === ' ' || !/[\p{C}\p{Z}]/u.test(character)) out += character
    else out += escapedCode(character.codePointAt(0)!)
  }
  return quote + out + quote
}

/** `\xhh`, `\uhhhh` or `\Uhhhhhhhh`. */
export function escapedCode(code: number): string {
  const hex = code.toString(16)
  if (code < 0x100) return `\\x${hex.padStart(2, '0')}`
  return code < 0x10000 ? `\\u${hex.padStart(4, '0')}` : `\\U${hex.padStart(8, '0')}`
}

/** `ascii()`. */
export function asciiRepr(value: Value): string {
  return repr(value).replace(/[^\0-\x7f]/gu, (character) => escapedCode(character.codePointAt(0)!))
}
