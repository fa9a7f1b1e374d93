import { Callable, numberOf, TemplateFault, Tuple, text, typeName, type Value } from './values'

/** Python's white space for `strip()` and `split()`; all of it is one unit. */
function isSpace(unit: number): boolean {
  if (unit < 0x80) return (unit >= 9 && unit <= 13) || (unit >= 0x1c && unit <= 0x20)
  return /[\x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]/.test(String.fromCharCode(unit))
}

/** `strip`, `lstrip` and `rstrip`; with `chars`, any of these characters. */
export function strip(value: string, chars: string | undefined, side: 'both' | 'left' | 'right'): string {
  if (chars === undefined) {
    let from = 0
    let to = value.length
    if (side !== 'right') while (from < to && isSpace(value.charCodeAt(from))) from++
    if (side !== 'left') while (to > from && isSpace(value.charCodeAt(to - 1))) to--
    return value.slice(from, to)
  }
  const set = new Set(chars)
  const list = [...value]
  let from = 0
  let to = list.length
  if (side !== 'right') while (from < to && set.has(list[from]!)) from++
  if (side !== 'left') while (to > from && set.has(list[to - 1]!)) to--
  return list.slice(from, to).join('')
}

/** Python's `title()`: every letter after a non-letter is upper case, all others lower. */
export function title(value: string): string {
  let inWord = false
  let out = ''
  for (const char of value) {
    const cased = /\p{Cased}/u.test(char)
    out += cased ? (inWord ? char.toLowerCase() : titleChar(char)) : char
    inWord = cased
  }
  return out
}

function titleChar(char: string): string {
  const upper = char.toUpperCase()
  return [...upper].length === 1 ? upper : upper[0] + upper.slice(1).toLowerCase()
}

export function capitalize(value: string): string {
  const [first = '', ...rest] = value
  return titleChar(first) + rest.join('').toLowerCase()
}

/** `str.replace`; an empty `from` matches between all characters. */
export function replaceText(value: string, from: string, to: string, count: number, limit: number): string {
  const pieces = from === '' ? ['', ...value, ''] : value.split(from)
  const times = count < 0 ? pieces.length - 1 : Math.min(count, pieces.length - 1)
  if (times * to.length > limit) throw new TemplateFault('the text becomes too long')
  return (
    pieces.slice(0, times + 1).join(to) +
    pieces
      .slice(times + 1)
      .map((piece) => from + piece)
      .join('')
  )
}

function splitSpaces(value: string, max: number): string[] {
  const out: string[] = []
  let i = 0
  for (;;) {
    while (i < value.length && isSpace(value.charCodeAt(i))) i++
    if (i === value.length) return out
    if (max >= 0 && out.length === max) return [...out, value.slice(i)]
    const start = i
    while (i < value.length && !isSpace(value.charCodeAt(i))) i++
    out.push(value.slice(start, i))
  }
}

function split(value: string, separator: string | undefined, max: number): string[] {
  if (separator === undefined) return splitSpaces(value, max)
  if (separator === '') throw new TemplateFault('empty separator')
  const parts = value.split(separator)
  if (max < 0 || parts.length <= max + 1) return parts
  return [...parts.slice(0, max), parts.slice(max).join(separator)]
}

function rsplit(value: string, separator: string | undefined, max: number): string[] {
  if (max < 0) return split(value, separator, -1)
  if (separator === undefined) {
    const words: string[] = []
    let end = value.length
    for (;;) {
      while (end > 0 && isSpace(value.charCodeAt(end - 1))) end--
      if (end === 0) return words
      if (words.length === max) return [value.slice(0, end), ...words]
      const stop = end
      while (end > 0 && !isSpace(value.charCodeAt(end - 1))) end--
      words.unshift(value.slice(end, stop))
    }
  }
  const parts = split(value, separator, -1)
  if (parts.length <= max + 1) return parts
  return [parts.slice(0, parts.length - max).join(separator), ...parts.slice(parts.length - max)]
}

const LINE_ENDS = new Set('\n\r\v\f\u001c\u001d\u001e\u0085\u2028\u2029')

/** `str.splitlines`. */
export function splitLines(value: string, keep: boolean): string[] {
  const lines: string[] = []
  let start = 0
  for (let i = 0; i < value.length; i++) {
    if (!LINE_ENDS.has(value[i]!)) continue
    const end = value[i] === '\r' && value[i + 1] === '\n' ? i + 2 : i + 1
    lines.push(value.slice(start, keep ? end : i))
    start = end
    i = end - 1
  }
  if (start < value.length) lines.push(value.slice(start))
  return lines
}

function affix(value: string, wanted: Value, test: (part: string) => boolean): boolean {
  if (typeof wanted === 'string') return test(wanted)
  if (Array.isArray(wanted)) return wanted.some((part) => typeof part === 'string' && test(part))
  throw new TemplateFault(`expected str, not ${typeName(wanted)} (${JSON.stringify(value.slice(0, 20))})`)
}

const all = (value: string, pattern: RegExp) => value !== '' && [...value].every((char) => pattern.test(char))

type Method = (self: string, args: Value[], kwargs: Map<string, Value>) => Value

const str = (value: Value | undefined): string => {
  if (typeof value !== 'string')
    throw new TemplateFault(`expected a str, got ${value === undefined ? 'nothing' : typeName(value)}`)
  return value
}
const optional = (value: Value | undefined) => (value === undefined || value === null ? undefined : str(value))
const int = (value: Value | undefined, fallback: number) =>
  value === undefined ? fallback : (numberOf(value) ?? fallback)
const position = (self: string, at: number) => (at < 0 ? -1 : [...self.slice(0, at)].length)

function pad(self: string, args: Value[], place: (missing: number) => [number, number]): string {
  const missing = int(args[0], 0) - [...self].length
  if (missing > 1_000_000) throw new TemplateFault('the text becomes too long')
  if (missing <= 0) return self
  const [left, right] = place(missing)
  const fill = optional(args[1]) ?? ' '
  return fill.repeat(left) + self + fill.repeat(right)
}

const METHODS: Record<string, Method> = {
  upper: (self) => self.toUpperCase(),
  lower: (self) => self.toLowerCase(),
  casefold: (self) => self.toLowerCase().replaceAll('ß', 'ss'),
  swapcase: (self) => [...self].map((c) => (c === c.toUpperCase() ? c.toLowerCase() : c.toUpperCase())).join(''),
  title: (self) => title(self),
  capitalize: (self) => capitalize(self),
  strip: (self, [chars]) => strip(self, optional(chars), 'both'),
  lstrip: (self, [chars]) => strip(self, optional(chars), 'left'),
  rstrip: (self, [chars]) => strip(self, optional(chars), 'right'),
  startswith: (self, [part]) => affix(self, part ?? null, (p) => self.startsWith(p)),
  endswith: (self, [part]) => affix(self, part ?? null, (p) => self.endsWith(p)),
  split: (self, [sep, max], kw) => split(self, optional(sep ?? kw.get('sep')), int(max ?? kw.get('maxsplit'), -1)),
  rsplit: (self, [sep, max], kw) => rsplit(self, optional(sep ?? kw.get('sep')), int(max ?? kw.get('maxsplit'), -1)),
  splitlines: (self, [keep], kw) => splitLines(self, (keep ?? kw.get('keepends')) === true),
  replace: (self, [from, to, count], kw) =>
    replaceText(self, str(from), str(to), int(count ?? kw.get('count'), -1), 1e8),
  join: (self, [list]) => {
    if (!Array.isArray(list)) throw new TemplateFault('can only join a list')
    return list.map(str).join(self)
  },
  find: (self, [part]) => position(self, self.indexOf(str(part))),
  rfind: (self, [part]) => position(self, self.lastIndexOf(str(part))),
  index: (self, [part]) => {
    const at = self.indexOf(str(part))
    if (at === -1) throw new TemplateFault('substring not found')
    return position(self, at)
  },
  count: (self, [part]) => (part === '' ? [...self].length + 1 : self.split(str(part)).length - 1),
  partition: (self, [sep]) => {
    const at = self.indexOf(str(sep))
    return at === -1 ? Tuple.of(self, '', '') : Tuple.of(self.slice(0, at), str(sep), self.slice(at + str(sep).length))
  },
  rpartition: (self, [sep]) => {
    const at = self.lastIndexOf(str(sep))
    return at === -1 ? Tuple.of('', '', self) : Tuple.of(self.slice(0, at), str(sep), self.slice(at + str(sep).length))
  },
  removeprefix: (self, [part]) => (self.startsWith(str(part)) ? self.slice(str(part).length) : self),
  removesuffix: (self, [part]) => (part !== '' && self.endsWith(str(part)) ? self.slice(0, -str(part).length) : self),
  isdigit: (self) => all(self, /\p{Nd}|[\u00b2\u00b3\u00b9\u2070-\u2089]/u),
  isnumeric: (self) => all(self, /\p{N}/u),
  isdecimal: (self) => all(self, /\p{Nd}/u),
  isalpha: (self) => all(self, /\p{L}/u),
  isalnum: (self) => all(self, /[\p{L}\p{N}]/u),
  isspace: (self) => self !== '' && strip(self, undefined, 'both') === '',
  isupper: (self) => self !== self.toLowerCase() && self === self.toUpperCase(),
  islower: (self) => self !== self.toUpperCase() && self === self.toLowerCase(),
  ljust: (self, args) => pad(self, args, (n) => [0, n]),
  rjust: (self, args) => pad(self, args, (n) => [n, 0]),
  center: (self, args) =>
    // Python puts the odd space on the left when the width is odd.
    pad(self, args, (n) => {
      const left = Math.floor(n / 2) + (n & int(args[0], 0) & 1)
      return [left, n - left]
    }),
  zfill: (self, [width]) => {
    const sign = /^[+-]/.test(self) ? self[0]! : ''
    return sign + pad(self.slice(sign.length), [int(width, 0) - sign.length, '0'], (n) => [n, 0])
  },
  format: (self, args, kwargs) => {
    let next = 0
    return self.replace(/\{\{|\}\}|\{(\w*)\}/g, (whole, name: string | undefined) => {
      if (name === undefined) return whole[0]!
      const value = name === '' ? args[next++] : /^\d+$/.test(name) ? args[Number(name)] : kwargs.get(name)
      if (value === undefined) throw new TemplateFault(`format() has no value for ${whole}`)
      return text(value)
    })
  },
}

/** The method `name` of a str, bound to it; undefined when there is none. */
export function textMethod(self: string, name: string): Callable | undefined {
  const method = Object.hasOwn(METHODS, name) ? METHODS[name] : undefined
  return method && new Callable(name, (args, kwargs) => method(self, args, kwargs))
}
