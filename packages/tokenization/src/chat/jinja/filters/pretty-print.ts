import { spend, take } from '../values/budget'
import { inOrder } from '../values/compare'
import { Dict } from '../values/dict'
import { TemplateFault } from '../values/fault'
import { repr } from '../values/repr'
import { lengthOf, SPACE, splitLines } from '../values/text'
import { Group, Tuple, typeName, type Value } from '../values/value'

const WIDTH = 80

/** Python's `pprint.pformat`: what does not fit on a line of 80 is put one item to a line, and dicts are sorted. */
export function prettyPrint(value: Value): string {
  return print(value, 0, 0, 0)
}

function print(value: Value, indent: number, allowance: number, level: number): string {
  const flat = inline(value)
  take(flat.length)
  if (lengthOf(flat) <= WIDTH - indent - allowance) return flat
  if (typeof value === 'string') return printText(value, indent, allowance, level + 1)
  if (value instanceof Dict) return `{${printEntries(value, indent, allowance + 1, level + 1)}}`
  if (Array.isArray(value)) return `[${printItems(value, indent, allowance + 1, level + 1)}]`
  if (value instanceof Tuple && !(value instanceof Group)) {
    const close = value.items.length === 1 ? ',)' : ')'
    return `(${printItems(value.items, indent, allowance + close.length, level + 1)}${close}`
  }
  return flat
}

/** `repr` with sorted dicts. */
function inline(value: Value): string {
  spend(1)
  if (Array.isArray(value)) return `[${value.map(inline).join(', ')}]`
  if (value instanceof Tuple && !(value instanceof Group))
    return `(${value.items.map(inline).join(', ')}${value.items.length === 1 ? ',' : ''})`
  if (value instanceof Dict)
    return `{${sortedItems(value)
      .map(([k, v]) => `${inline(k)}: ${inline(v)}`)
      .join(', ')}}`
  const text = repr(value)
  take(text.length)
  return text
}

/** By key; keys that cannot be compared go by the names of their types. */
function sortedItems(dict: Dict): [Value, Value][] {
  const less = (a: Value, b: Value) => {
    try {
      return inOrder(a, '<', b)
    } catch (error) {
      if (!(error instanceof TemplateFault)) throw error
      return `<class '${typeName(a)}'>` < `<class '${typeName(b)}'>`
    }
  }
  return dict.items().sort(([a], [b]) => (less(a, b) ? -1 : less(b, a) ? 1 : 0))
}

function printEntries(dict: Dict, indent: number, allowance: number, level: number): string {
  const items = sortedItems(dict)
  return items
    .map(([key, value], i) => {
      const name = inline(key)
      const last = i === items.length - 1
      return `${name}: ${print(value, indent + 1 + lengthOf(name) + 2, last ? allowance : 1, level)}`
    })
    .join(`,\n${' '.repeat(indent + 1)}`)
}

function printItems(items: readonly Value[], indent: number, allowance: number, level: number): string {
  return items
    .map((item, i) => print(item, indent + 1, i === items.length - 1 ? allowance : 1, level))
    .join(`,\n${' '.repeat(indent + 1)}`)
}

const PARTS = new RegExp(`[^${SPACE}]*[${SPACE}]*`, 'g')

/** A long text as adjacent literals, cut after spaces. */
function printText(text: string, outerIndent: number, outerAllowance: number, level: number): string {
  const outermost = level === 1
  const indent = outerIndent + Number(outermost)
  const allowance = outerAllowance + Number(outermost)
  const lines = splitLines(text, true)
  const chunks: string[] = []
  for (const [i, line] of lines.entries()) {
    const lastLine = i === lines.length - 1
    const whole = repr(line)
    if (lengthOf(whole) <= WIDTH - indent - (lastLine ? allowance : 0)) chunks.push(whole)
    else chunks.push(...cutLine(line, WIDTH - indent, lastLine ? allowance : 0))
  }
  if (chunks.length === 1) return repr(lines.at(-1)!)
  const joined = chunks.join(`\n${' '.repeat(indent)}`)
  return outermost ? `(${joined})` : joined
}

function cutLine(line: string, width: number, allowance: number): string[] {
  const parts = (line.match(PARTS) ?? []).filter((part) => part !== '')
  const chunks: string[] = []
  let current = ''
  for (const [i, part] of parts.entries()) {
    const most = i === parts.length - 1 ? width - allowance : width
    const candidate = current + part
    take(candidate.length)
    if (lengthOf(repr(candidate)) > most) {
      if (current !== '') chunks.push(repr(current))
      current = part
    } else current = candidate
  }
  if (current !== '') chunks.push(repr(current))
  return chunks
}
