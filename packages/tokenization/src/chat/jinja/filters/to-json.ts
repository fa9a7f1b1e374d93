import { step, take } from '../values/budget'
import { inOrder, sorted } from '../values/compare'
import { Dict } from '../values/dict'
import { TemplateFault } from '../values/fault'
import { Float } from '../values/float'
import { listOf } from '../values/iterate'
import { floatText, intText } from '../values/number-text'
import { indexOf, isInt, isText, Tuple, textOf, truthy, typeName, type Value } from '../values/value'

interface Style {
  ascii: boolean
  indent: string | undefined
  between: string
  colon: string
  sort: boolean
}

/** `tojson` as transformers has it: Python's `json.dumps`, without escapes for HTML. */
export function toJson(
  value: Value,
  [ascii = false, indent = null, separators = null, sortKeys = false]: readonly (Value | undefined)[],
): string {
  const given = separators === null ? undefined : listOf(separators)
  if (given && (given.length !== 2 || !given.every(isText)))
    throw new TemplateFault('separators must be a pair of strings')
  const [between, colon] = given ? given.map((item) => textOf(item as string)) : [indent === null ? ', ' : ',', ': ']
  const unit = indent === null ? undefined : isText(indent) ? textOf(indent) : ' '.repeat(Math.max(0, indexOf(indent)))
  return dump(value, { ascii: truthy(ascii), indent: unit, between, colon, sort: truthy(sortKeys) }, 0)
}

function dump(value: Value, style: Style, depth: number): string {
  step()
  if (isText(value)) return jsonText(textOf(value), style.ascii)
  const scalar = scalarText(value)
  if (scalar !== undefined) return scalar
  if (Array.isArray(value)) return list(value, style, depth)
  if (value instanceof Tuple) return list(value.items, style, depth)
  if (value instanceof Dict) return object(value, style, depth)
  throw new TemplateFault(`Object of type ${typeName(value)} is not JSON serializable`)
}

function scalarText(value: Value): string | undefined {
  if (value === null) return 'null'
  if (typeof value === 'boolean') return String(value)
  if (isInt(value)) return intText(value as number | bigint)
  if (!(value instanceof Float)) return undefined
  const text = floatText(+value)
  return SPECIAL[text] ?? text
}
const SPECIAL: Record<string, string> = { nan: 'NaN', inf: 'Infinity', '-inf': '-Infinity' }

function list(items: readonly Value[], style: Style, depth: number): string {
  return wrapped('[', ']', items, (item) => dump(item, style, depth + 1), style, depth)
}

function object(dict: Dict, style: Style, depth: number): string {
  const items = style.sort ? sorted(dict.items(), ([key]) => key) : dict.items()
  if (style.sort && items.length > 1) inOrder(items[0][0], '<', items[1][0])
  return wrapped(
    '{',
    '}',
    items,
    ([key, value]) => keyText(key, style.ascii) + style.colon + dump(value, style, depth + 1),
    style,
    depth,
  )
}

function keyText(key: Value, ascii: boolean): string {
  if (isText(key)) return jsonText(textOf(key), ascii)
  const scalar = scalarText(key)
  if (scalar === undefined) throw new TemplateFault(`keys must be str, int, float, bool or None, not ${typeName(key)}`)
  return `"${scalar}"`
}

function wrapped<Item>(
  open: string,
  close: string,
  items: readonly Item[],
  print: (item: Item) => string,
  { indent, between }: Style,
  depth: number,
): string {
  if (items.length === 0) return open + close
  const line = indent === undefined ? '' : `\n${indent.repeat(depth + 1)}`
  let out = open
  for (let i = 0; i < items.length; i++) {
    const piece = (i === 0 ? line : between + line) + print(items[i])
    take(piece.length)
    out += piece
  }
  return out + (indent === undefined ? '' : `\n${indent.repeat(depth)}`) + close
}

const SHORT: Record<string, string> = {
  '"': '\\"',
  '\\': '\\\\',
  '\b': '\\b',
  '\f': '\\f',
  '\n': '\\n',
  '\r': '\\r',
  '\t': '\\t',
}
const unicode = (unit: string) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`

function jsonText(text: string, ascii: boolean): string {
  take(text.length)
  // biome-ignore lint/suspicious/noControlCharactersInRegex: JSON escapes them
  const escaped = text.replace(/["\\\0-\x1f]/g, (character) => SHORT[character] ?? unicode(character))
  return `"${ascii ? escaped.replace(/[\x7f-\uffff]/g, (unit) => (unit === '\x7f' ? unit : unicode(unit))) : escaped}"`
}
