import { sliceOf } from '../methods/access'
import { join, replace } from '../methods/text-methods'
import { take } from '../values/budget'
import { Dict } from '../values/dict'
import { TemplateFault } from '../values/fault'
import { iterate, length, listOf } from '../values/iterate'
import { add, escaped } from '../values/operators'
import { percentFormat } from '../values/percent-format'
import { text } from '../values/repr'
import { SPACE, splitLines } from '../values/text'
import { indexOf, isText, Markup, Tuple, textOf, truthy, typeName, Undefined, type Value } from '../values/value'
import { attributeGetter, callText, type Environment, type Filter, filter, softText } from './filter'
import { wordWrap } from './word-wrap'

const byMethod = (name: string) => filter('', (value) => callText(softText(value), name))

const WORD_BEGINNINGS = new RegExp(`([-${SPACE}({\\[<]+)`)

function title(value: Value): string {
  return textOf(softText(value))
    .split(WORD_BEGINNINGS)
    .map((part) => {
      const first = part[Symbol.iterator]().next().value ?? ''
      return first.toUpperCase() + part.slice(first.length).toLowerCase()
    })
    .join('')
}

function replaced(value: Value, [from, to, count]: readonly (Value | undefined)[], { autoescape }: Environment): Value {
  const times = count === undefined || count === null ? -1 : indexOf(count)
  if (!autoescape) return replace(text(value), text(from!), text(to!), times < 0 ? undefined : times)
  const escapes = from instanceof Markup || (to instanceof Markup && !(value instanceof Markup))
  const self = escapes ? new Markup(escaped(value)) : softText(value)
  return callText(self, 'replace', softText(from!), softText(to!), times)
}

function joined(
  value: Value,
  [separator = '', attribute]: readonly (Value | undefined)[],
  { autoescape }: Environment,
): Value {
  const get = attributeGetter(attribute)
  const items = attribute === undefined || attribute === null ? iterate(value) : listOf(value).map(get)
  if (!autoescape) return join(text(separator), items, text)
  const list = Array.from(items)
  if (!(separator instanceof Markup) && !list.some((item) => item instanceof Markup))
    return join(text(separator), list, text)
  return new Markup(join(escaped(separator), list, escaped))
}

function indent(value: Value, [width = 4, first = false, blank = false]: readonly (Value | undefined)[]): Value {
  const prefix = isText(width) ? textOf(width) : ' '.repeat(Math.max(0, checkedWidth(indexOf(width))))
  if (!isText(value)) {
    if (value instanceof Undefined) value.fail()
    throw new TemplateFault(`cannot indent a ${typeName(value)}`)
  }
  const lines = splitLines(`${textOf(value)}\n`)
  take(lines.length * prefix.length)
  const rest = lines.slice(1).map((line) => (line !== '' || truthy(blank) ? prefix + line : line))
  const body = [(truthy(first) ? prefix : '') + lines[0], ...rest].join('\n')
  return value instanceof Markup ? new Markup(body) : body
}

function checkedWidth(width: number): number {
  take(Math.max(0, width))
  return width
}

function truncate(
  value: Value,
  [size = 255, killWords = false, end = '...', leeway]: readonly (Value | undefined)[],
): Value {
  const slack = leeway === undefined || leeway === null ? 5 : indexOf(leeway)
  const most = indexOf(size)
  const endLength = length(end)
  if (most < endLength) throw new TemplateFault(`expected length >= ${endLength}, got ${most}`)
  if (slack < 0) throw new TemplateFault(`expected leeway >= 0, got ${slack}`)
  if (length(value) <= most + slack) return value
  const kept = sliceOf(value, null, most - endLength, null)
  if (truthy(killWords)) return add(kept, end)
  if (!isText(kept)) throw new TemplateFault(`cannot truncate a ${typeName(value)}`)
  return add((callText(kept, 'rsplit', ' ', 1) as Value[])[0], end)
}

const format: Filter = (_environment, value, args, kwargs) => {
  if (args.length > 0 && kwargs.size > 0)
    throw new TemplateFault("can't handle positional and keyword arguments at the same time")
  return percentFormat(softText(value), kwargs.size > 0 ? Dict.of(kwargs) : new Tuple(args))
}

export const TEXT_FILTERS: Record<string, Filter> = {
  capitalize: byMethod('capitalize'),
  center: filter('width?', (value, [width = 80]) => callText(softText(value), 'center', width)),
  format,
  indent: filter('width? first? blank?', indent),
  join: filter('d? attribute?', joined),
  lower: byMethod('lower'),
  replace: filter('old new count?', replaced),
  string: filter('', (value) => softText(value)),
  title: filter('', title),
  trim: filter('chars?', (value, [characters = null]) => callText(softText(value), 'strip', characters)),
  truncate: filter('length? killwords? end? leeway?', truncate),
  upper: byMethod('upper'),
  wordcount: filter('', (value) => (textOf(softText(value)).match(/[\p{L}\p{N}_]+/gu) ?? []).length),
  wordwrap: filter('width? break_long_words? wrapstring? break_on_hyphens?', wordWrap),
}
