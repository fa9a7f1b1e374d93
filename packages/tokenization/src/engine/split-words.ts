import { LETTER, NUMBER, SPACE, unicodeClasses } from './unicode-classes'
import { codePointAt } from './units'

/** Finds the end of the word that starts at `start` (`start < end`); words tile the text without gaps. */
export type WordSplitter = (units: Uint16Array, start: number, end: number) => number

const APOSTROPHE = 0x27
const CR = 0x0d
const LF = 0x0a
const BLANK = 0x20

/** How the family of GPT-4-like expressions differs from one to the next. */
interface Gpt4Rules {
  /** The most digits in one word: `\p{N}` is 1, `\p{N}{1,3}` is 3, `\p{N}+` is Infinity. */
  digits: number
}

const CL100K = (digits: string) =>
  `(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|${digits}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+`

/** GPT-2's expression; `use_regex` of a ByteLevel pre-tokenizer means this one. */
export const GPT2_REGEX = "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+"

/**
 * A hand-written scanner for the expressions that today's models use, or undefined for any other. Each one follows its
 * expression alternative by alternative, with the classes recorded from the original instead of this Node's ICU.
 */
export function wordSplitterFor(regex: string): WordSplitter | undefined {
  if (regex === GPT2_REGEX) return gpt2Splitter()
  if (regex === CL100K('\\p{N}{1,3}')) return gpt4Splitter({ digits: 3 })
  if (regex === CL100K('\\p{N}')) return gpt4Splitter({ digits: 1 })
  if (regex === CL100K('\\p{N}+')) return gpt4Splitter({ digits: Number.POSITIVE_INFINITY })
  return undefined
}

/** Length of the contraction ('s 't 're 've 'm 'll 'd) at `i`, which holds an apostrophe; 0 when there is none. */
function contraction(units: Uint16Array, i: number, end: number, ignoreCase: boolean): number {
  if (i + 1 >= end) return 0
  const fold = ignoreCase ? 0x20 : 0
  const a = units[i + 1]! | (units[i + 1]! < 0x80 ? fold : 0)
  // s t m d; U+017F, the long s, is an s when case does not matter
  if (a === 0x73 || a === 0x74 || a === 0x6d || a === 0x64 || (ignoreCase && a === 0x17f)) return 2
  if (i + 2 >= end) return 0
  const b = units[i + 2]! | (units[i + 2]! < 0x80 ? fold : 0)
  if ((a === 0x72 && b === 0x65) || (a === 0x76 && b === 0x65) || (a === 0x6c && b === 0x6c)) return 3
  return 0
}

/** The end of the run of code points at `i` that have one of the classes in `wanted`. */
function runOf(classes: Uint8Array, wanted: number, units: Uint16Array, i: number, end: number): number {
  while (i < end) {
    const c = codePointAt(units, i, end)
    if ((classes[c]! & wanted) === 0) return i
    i += c > 0xffff ? 2 : 1
  }
  return i
}

/** The end of the run of code points at `i` that are neither letter, number nor space. */
function runOfOther(classes: Uint8Array, units: Uint16Array, i: number, end: number): number {
  while (i < end) {
    const c = codePointAt(units, i, end)
    if ((classes[c]! & (LETTER | NUMBER | SPACE)) !== 0) return i
    i += c > 0xffff ? 2 : 1
  }
  return i
}

/** `\s+(?!\S)|\s+` at `i`: the whole run at the end of the text, otherwise all but its last character, but at least one. */
function spaces(runEnd: number, i: number, end: number): number {
  return runEnd === end || runEnd === i + 1 ? runEnd : runEnd - 1 // every space is one unit
}

function gpt2Splitter(): WordSplitter {
  const classes = unicodeClasses()
  return (units, i, end) => {
    const first = units[i]!
    if (first === APOSTROPHE) {
      const length = contraction(units, i, end, false)
      if (length > 0) return i + length
    }
    const body = first === BLANK && i + 1 < end ? i + 1 : i
    const kind = classes[codePointAt(units, body, end)]! & (LETTER | NUMBER | SPACE)
    if (kind === LETTER || kind === NUMBER) return runOf(classes, kind, units, body, end)
    if (kind === 0) return runOfOther(classes, units, body, end)
    return spaces(runOf(classes, SPACE, units, i, end), i, end)
  }
}

function gpt4Splitter({ digits }: Gpt4Rules): WordSplitter {
  const classes = unicodeClasses()
  return (units, i, end) => {
    const c = codePointAt(units, i, end)
    if (c === APOSTROPHE) {
      const length = contraction(units, i, end, true)
      if (length > 0) return i + length
    }
    const kind = classes[c]! & (LETTER | NUMBER | SPACE)
    if (kind === LETTER) return runOf(classes, LETTER, units, i, end)
    const after = i + (c > 0xffff ? 2 : 1)
    if (kind === NUMBER) {
      let at = after
      for (let n = 1; n < digits && at < end; n++) {
        const d = codePointAt(units, at, end)
        if ((classes[d]! & NUMBER) === 0) break
        at += d > 0xffff ? 2 : 1
      }
      return at
    }
    // one character that is no line end may lead a word of letters
    if (c !== CR && c !== LF && after < end) {
      const letters = runOf(classes, LETTER, units, after, end)
      if (letters > after) return letters
    }
    // ` ?[^\s\p{L}\p{N}]+[\r\n]*`
    const body = c === BLANK ? after : i
    let other = runOfOther(classes, units, body, end)
    if (other > body) {
      while (other < end && (units[other] === CR || units[other] === LF)) other++
      return other
    }
    // `\s*[\r\n]+`: up to the last line end of the run of spaces
    const run = runOf(classes, SPACE, units, i, end)
    for (let at = run; at > i; at--) if (units[at - 1] === CR || units[at - 1] === LF) return at
    return spaces(run, i, end)
  }
}
