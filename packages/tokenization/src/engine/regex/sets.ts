import * as recorded from '../unicode/oniguruma.data'
import { once, runsOf } from '../unicode/tables'

/** A set of code points: first and last of each range, in order, with gaps between them. */
export type CodeSet = readonly number[]

const LAST = 0x10ffff

export function union(...sets: CodeSet[]): CodeSet {
  const ranges: [number, number][] = []
  for (const set of sets) for (let i = 0; i < set.length; i += 2) ranges.push([set[i]!, set[i + 1]!])
  ranges.sort((a, b) => a[0] - b[0])
  const out: number[] = []
  for (const [first, last] of ranges)
    if (out.length > 0 && first <= out[out.length - 1]! + 1) out[out.length - 1] = Math.max(out[out.length - 1]!, last)
    else out.push(first, last)
  return out
}

export function complement(set: CodeSet): CodeSet {
  const out: number[] = []
  let next = 0
  for (let i = 0; i < set.length; i += 2) {
    if (set[i]! > next) out.push(next, set[i]! - 1)
    next = set[i + 1]! + 1
  }
  if (next <= LAST) out.push(next, LAST)
  return out
}

export function intersection(a: CodeSet, b: CodeSet): CodeSet {
  return complement(union(complement(a), complement(b)))
}

export function contains(set: CodeSet, c: number): boolean {
  for (let i = 0; i < set.length; i += 2) if (c >= set[i]! && c <= set[i + 1]!) return true
  return false
}

/** A set as a JavaScript character class (for the `u` flag). */
export function classOf(set: CodeSet): string {
  const hex = (c: number) => `\\u{${c.toString(16)}}`
  let out = ''
  for (let i = 0; i < set.length; i += 2) {
    out += hex(set[i]!)
    if (set[i + 1]! > set[i]!) out += `-${hex(set[i + 1]!)}`
  }
  return `[${out}]`
}

const flat = (table: string, wanted: (value: number) => boolean): CodeSet =>
  union(runsOf(table).flatMap(([first, last, value]) => (wanted(value) ? [first, last] : [])))

export const spaces = once(() => flat(recorded.SPACES, () => true))
export const words = once(() => flat(recorded.WORDS, () => true))
/** What `\w` holds in brackets: a few digits and fractions less. */
export const wordsInBrackets = once(() =>
  intersection(words(), complement(flat(recorded.WORDS_OUTSIDE_BRACKETS, () => true))),
)
const alphabetic = once(() => flat(recorded.ALPHABETIC, () => true))
export const digits = once(() => category('Nd')!)
export const hexDigits: CodeSet = [0x30, 0x39, 0x41, 0x46, 0x61, 0x66]
export const lineEnd: CodeSet = [0x0a, 0x0a]

/** The general categories whose names begin with `name`. */
function category(name: string): CodeSet | undefined {
  const wanted = recorded.CATEGORY_NAMES.map((category) => category.startsWith(name))
  return wanted.includes(true) ? flat(recorded.CATEGORIES, (value) => wanted[value - 1]!) : undefined
}

function script(name: string): CodeSet | undefined {
  const index = recorded.SCRIPT_NAMES.findIndex((script) => script.toLowerCase() === name)
  return index === -1 ? undefined : flat(recorded.SCRIPTS, (value) => value === index + 1)
}

const LONG_NAMES = new Map(
  Object.entries({
    letter: 'L',
    uppercaseletter: 'Lu',
    lowercaseletter: 'Ll',
    titlecaseletter: 'Lt',
    modifierletter: 'Lm',
    otherletter: 'Lo',
    mark: 'M',
    nonspacingmark: 'Mn',
    number: 'N',
    decimalnumber: 'Nd',
    letternumber: 'Nl',
    othernumber: 'No',
    punctuation: 'P',
    symbol: 'S',
    mathsymbol: 'Sm',
    currencysymbol: 'Sc',
    separator: 'Z',
    spaceseparator: 'Zs',
    other: 'C',
    control: 'Cc',
    format: 'Cf',
  }),
)

/** What `\p{name}` holds, or undefined for a name that is not recorded: a category, a script, or one of POSIX's classes. */
export function property(name: string): CodeSet | undefined {
  const plain = name.toLowerCase().replace(/[\s_-]/g, '')
  if (plain === 'alpha' || plain === 'alphabetic') return alphabetic()
  if (plain === 'digit') return digits()
  if (plain === 'space' || plain === 'whitespace') return spaces()
  if (plain === 'any') return [0, LAST]
  const short = LONG_NAMES.get(plain) ?? (plain.length <= 2 ? plain[0]?.toUpperCase() + plain.slice(1) : undefined)
  return (short === undefined ? undefined : category(short)) ?? script(plain)
}
