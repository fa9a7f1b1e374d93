import { spend, take } from '../values/budget'
import { TemplateFault } from '../values/fault'
import { iterate } from '../values/iterate'
import * as letters from '../values/letters'
import {
  hasSurrogates,
  isSpace,
  lengthOf,
  pointIndex,
  pointSlice,
  SPACE,
  splitLines,
  stripLeft,
  stripRight,
} from '../values/text'
import { indexOf, isText, Tuple, textOf, truthy, typeName, Undefined, type Value } from '../values/value'
import { type Method, method } from './method'
import { unsupported } from './unsupported-methods'

/** The characters an argument must be. */
function str(value: Value | undefined, what = 'argument'): string {
  if (value !== undefined && isText(value)) return textOf(value)
  throw new TemplateFault(`${what} must be str, not ${typeName(value ?? null)}`)
}

const optional = (value: Value | undefined) => value === undefined || value === null

/** An optional count; -1 is all. */
function countOf(value: Value | undefined): number {
  const count = value === undefined ? -1 : indexOf(value)
  return count < 0 ? Number.POSITIVE_INFINITY : count
}

/** The part of a text that `start` and `end` choose, and the code point it begins at; undefined when it begins outside. */
function part(
  self: string,
  start: Value | undefined,
  end: Value | undefined,
): { text: string; from: number } | undefined {
  if (optional(start) && optional(end)) return { text: self, from: 0 }
  const length = lengthOf(self)
  const bound = (value: Value | undefined, otherwise: number) => {
    if (optional(value)) return otherwise
    const index = indexOf(value as Value)
    return index < 0 ? Math.max(0, index + length) : index
  }
  const [from, to] = [bound(start, 0), Math.min(length, bound(end, length))]
  if (from > length || from > to) return undefined
  return { text: pointSlice(self, from, to), from }
}

function find(self: string, [sub, start, end]: readonly (Value | undefined)[], last: boolean): number {
  const chosen = part(self, start, end)
  const wanted = str(sub)
  if (!chosen) return -1
  const unit = last ? chosen.text.lastIndexOf(wanted) : chosen.text.indexOf(wanted)
  return unit === -1 ? -1 : chosen.from + pointIndex(chosen.text, unit)
}

function found(place: number): number {
  if (place === -1) throw new TemplateFault('substring not found')
  return place
}

/** How often `sub` occurs in a text, without overlap. */
export function occurrences(text: string, sub: string): number {
  if (sub === '') return lengthOf(text) + 1
  let count = 0
  for (let at = text.indexOf(sub); at !== -1; at = text.indexOf(sub, at + sub.length)) count++
  return count
}

function startsOrEnds(self: string, [affix, start, end]: readonly (Value | undefined)[], ends: boolean): boolean {
  const chosen = part(self, start, end)
  const affixes = affix instanceof Tuple ? affix.items : [affix]
  const name = ends ? 'endswith first arg' : 'startswith first arg'
  return affixes.some((one) => {
    const wanted = str(one as Value, name)
    return chosen !== undefined && (ends ? chosen.text.endsWith(wanted) : chosen.text.startsWith(wanted))
  })
}

export function strip(self: string, characters: Value | undefined, sides: 'left' | 'right' | 'both'): string {
  if (optional(characters)) {
    const left = sides === 'right' || !isSpace(self[0] ?? '') ? self : stripLeft(self)
    return sides === 'left' ? left : stripRight(left)
  }
  const set = new Set(str(characters, 'strip arg'))
  const points = hasSurrogates(self) ? Array.from(self) : self
  let [from, to] = [0, points.length]
  if (sides !== 'right') while (from < to && set.has(points[from])) from++
  if (sides !== 'left') while (to > from && set.has(points[to - 1])) to--
  return typeof points === 'string' ? points.slice(from, to) : points.slice(from, to).join('')
}

const WORDS = new RegExp(`[^${SPACE}]+`, 'g')

/** `split` at space: empty parts are left out, and the rest begins where the last word ends. */
function splitSpace(self: string, most: number): string[] {
  if (most === Number.POSITIVE_INFINITY) return self.match(WORDS) ?? []
  const parts: string[] = []
  let rest = stripLeft(self)
  for (let i = 0; i < most && rest !== ''; i++) {
    const [word] = rest.match(WORDS)!
    parts.push(word)
    rest = stripLeft(rest.slice(word.length))
  }
  if (rest !== '') parts.push(rest)
  return parts
}

function rsplitSpace(self: string, most: number): string[] {
  if (most === Number.POSITIVE_INFINITY) return splitSpace(self, most)
  const parts: string[] = []
  let rest = stripRight(self)
  for (let i = 0; i < most && rest !== ''; i++) {
    let at = rest.length
    while (at > 0 && !isSpace(rest[at - 1])) at--
    parts.unshift(rest.slice(at))
    rest = stripRight(rest.slice(0, at))
  }
  if (rest !== '') parts.unshift(rest)
  return parts
}

function separator(value: Value | undefined): string {
  const sep = str(value as Value)
  if (sep === '') throw new TemplateFault('empty separator')
  return sep
}

function split(self: string, sep: Value | undefined, most: number): string[] {
  if (optional(sep)) return splitSpace(self, most)
  const all = self.split(separator(sep))
  return all.length - 1 <= most ? all : [...all.slice(0, most), all.slice(most).join(separator(sep))]
}

function rsplit(self: string, sep: Value | undefined, most: number): string[] {
  if (optional(sep)) return rsplitSpace(self, most)
  const parts: string[] = []
  const wanted = separator(sep)
  let rest = self
  for (let i = 0; i < most; i++) {
    const at = rest.lastIndexOf(wanted)
    if (at === -1) break
    parts.unshift(rest.slice(at + wanted.length))
    rest = rest.slice(0, at)
  }
  parts.unshift(rest)
  return parts
}

function partition(self: string, sep: Value | undefined, last: boolean): Tuple {
  const wanted = separator(sep)
  const at = last ? self.lastIndexOf(wanted) : self.indexOf(wanted)
  if (at === -1) return new Tuple(last ? ['', '', self] : [self, '', ''])
  return new Tuple([self.slice(0, at), wanted, self.slice(at + wanted.length)])
}

/** `str.replace`, without overlap from the left. */
export function replace(self: string, from: string, to: string, count = Number.POSITIVE_INFINITY): string {
  spend(self.length)
  if (count === 0) return self
  if (from === '') {
    const points = Array.from(self)
    take(self.length + to.length * Math.min(count, points.length + 1))
    return points.length + 1 <= count
      ? to + points.map((point) => point + to).join('')
      : points.map((point, i) => (i < count ? to + point : point)).join('')
  }
  if (!self.includes(from)) return self
  const times = Math.min(count, occurrences(self, from))
  take(self.length + times * Math.max(0, to.length - from.length))
  const pieces = self.split(from)
  return pieces.length - 1 <= count
    ? pieces.join(to)
    : pieces.slice(0, count + 1).join(to) + from + pieces.slice(count + 1).join(from)
}

function pad(
  self: string,
  width: Value | undefined,
  fill: Value | undefined,
  left: (missing: number, width: number) => number,
): string {
  const total = indexOf(width as Value)
  const character = fill === undefined ? ' ' : str(fill, 'The fill character')
  if (lengthOf(character) !== 1) throw new TemplateFault('The fill character must be exactly one character long')
  const missing = total - lengthOf(self)
  if (missing <= 0) return self
  take(missing)
  const before = left(missing, total)
  return character.repeat(before) + self + character.repeat(missing - before)
}

/** Python puts the odd space on the left when the width is odd. */
export function center(self: string, width: Value, fill?: Value): string {
  return pad(self, width, fill, (missing, total) => Math.floor(missing / 2) + (missing & total & 1))
}

function zeroFill(self: string, width: Value | undefined): string {
  const missing = indexOf(width as Value) - lengthOf(self)
  if (missing <= 0) return self
  take(missing)
  const sign = /^[+-]/.test(self) ? self[0] : ''
  return sign + '0'.repeat(missing) + self.slice(sign.length)
}

export function join(
  separator: string,
  items: Iterable<Value>,
  textOfItem: (item: Value, at: number) => string,
): string {
  let out = ''
  let at = 0
  for (const item of items) {
    const piece = at > 0 ? separator + textOfItem(item, at) : textOfItem(item, at)
    take(piece.length)
    out += piece
    at++
  }
  return out
}

function expandTabs(self: string, size: number): string {
  let out = ''
  let column = 0
  for (const character of self) {
    if (character === '\t') {
      const missing = size > 0 ? size - (column % size) : 0
      take(missing)
      out += ' '.repeat(missing)
      column += missing
    } else {
      out += character
      column = character === '\n' || character === '\r' ? 0 : column + 1
    }
  }
  return out
}

function needStr(item: Value, at: number): string {
  if (isText(item)) return textOf(item)
  if (item instanceof Undefined) throw new TemplateFault(`sequence item ${at}: expected str instance, Undefined found`)
  throw new TemplateFault(`sequence item ${at}: expected str instance, ${typeName(item)} found`)
}

/** The methods of str, but for `format` and `format_map`. */
export const TEXT_METHODS: Record<string, Method<string>> = {
  capitalize: method('/', (self) => letters.capitalize(self)),
  casefold: method('/', (self) => letters.caseFold(self)),
  center: method('/width fill?', (self, width, fill) => center(self, width!, fill)),
  count: method('/sub start? end?', (self, sub, start, end) => {
    const chosen = part(self, start, end)
    const wanted = str(sub)
    return chosen ? occurrences(chosen.text, wanted) : 0
  }),
  encode: method('encoding? errors?', unsupported('encode')),
  endswith: method('/suffix start? end?', (self, ...args) => startsOrEnds(self, args, true)),
  expandtabs: method('tabsize?', (self, size) => expandTabs(self, size === undefined ? 8 : indexOf(size))),
  find: method('/sub start? end?', (self, ...args) => find(self, args, false)),
  index: method('/sub start? end?', (self, ...args) => found(find(self, args, false))),
  isalnum: method('/', (self) => letters.isAlnum(self)),
  isalpha: method('/', (self) => letters.isAlpha(self)),
  isascii: method('/', (self) => /^[\0-\x7f]*$/.test(self)),
  isdecimal: method('/', (self) => letters.isDecimal(self)),
  isdigit: method('/', (self) => letters.isDigit(self)),
  isidentifier: method('/', (self) => letters.isIdentifier(self)),
  islower: method('/', (self) => letters.isLower(self)),
  isnumeric: method('/', (self) => letters.isNumeric(self)),
  isprintable: method('/', (self) => letters.isPrintable(self)),
  isspace: method('/', (self) => self !== '' && stripLeft(self) === ''),
  istitle: method('/', (self) => letters.isTitle(self)),
  isupper: method('/', (self) => letters.isUpper(self)),
  join: method('/iterable', (self, items) => join(self, iterate(items!), needStr)),
  ljust: method('/width fill?', (self, width, fill) => pad(self, width, fill, () => 0)),
  lower: method('/', (self) => self.toLowerCase()),
  lstrip: method('/chars?', (self, characters) => strip(self, characters, 'left')),
  maketrans: method('x y? z?', unsupported('maketrans')),
  partition: method('/sep', (self, sep) => partition(self, sep, false)),
  removeprefix: method('/prefix', (self, prefix) => {
    const wanted = str(prefix)
    return self.startsWith(wanted) ? self.slice(wanted.length) : self
  }),
  removesuffix: method('/suffix', (self, suffix) => {
    const wanted = str(suffix)
    return wanted !== '' && self.endsWith(wanted) ? self.slice(0, -wanted.length) : self
  }),
  replace: method('/old new count?', (self, from, to, count) => replace(self, str(from), str(to), countOf(count))),
  rfind: method('/sub start? end?', (self, ...args) => find(self, args, true)),
  rindex: method('/sub start? end?', (self, ...args) => found(find(self, args, true))),
  rjust: method('/width fill?', (self, width, fill) => pad(self, width, fill, (missing) => missing)),
  rpartition: method('/sep', (self, sep) => partition(self, sep, true)),
  rsplit: method('sep? maxsplit?', (self, sep, most) => rsplit(self, sep, countOf(most))),
  rstrip: method('/chars?', (self, characters) => strip(self, characters, 'right')),
  split: method('sep? maxsplit?', (self, sep, most) => split(self, sep, countOf(most))),
  splitlines: method('keepends?', (self, keep) => splitLines(self, keep !== undefined && truthy(keep))),
  startswith: method('/prefix start? end?', (self, ...args) => startsOrEnds(self, args, false)),
  strip: method('/chars?', (self, characters) => strip(self, characters, 'both')),
  swapcase: method('/', (self) => letters.swapCase(self)),
  title: method('/', (self) => letters.title(self)),
  translate: method('/table', unsupported('translate')),
  upper: method('/', (self) => self.toUpperCase()),
  zfill: method('/width', (self, width) => zeroFill(self, width)),
}
