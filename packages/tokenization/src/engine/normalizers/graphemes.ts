import { GRAPHEMES } from '../unicode/graphemes.data'
import { lazyTable } from '../unicode/tables'

const EXTENDS = 1
const EXTEND = 2
const CONJUNCT_EXTEND = 4
const LINKER = 8
const PREPEND = 16
const CONTROL = 32
const PICTOGRAPHIC = 64
const CONSONANT = 128
const L = 256
const V = 512
const T = 1024
const LV = 2048
const LVT = 4096
const ZWJ = 0x200d
const CR = 0x0d
const LF = 0x0a

const kinds = lazyTable(GRAPHEMES, (length) => new Uint16Array(length))

/**
 * The end of the extended grapheme cluster (Unicode's annex 29) that begins at `start`.
 *
 * Flags (pairs of regional indicators) are not joined: nothing asks about graphemes that long as a whole.
 */
export function graphemeEnd(text: string, start: number): number {
  const table = kinds()
  let c = text.codePointAt(start)!
  let at = start + (c > 0xffff ? 2 : 1)
  // A pictograph and what extends it; a consonant, and whether a linker has been seen.
  let picture = (table[c]! & PICTOGRAPHIC) !== 0
  let joiner = false
  let consonant = (table[c]! & CONSONANT) !== 0
  let linked = false
  while (at < text.length) {
    const next = text.codePointAt(at)!
    const before = table[c]!
    const kind = table[next]!
    if (c === CR) return next === LF ? at + 1 : at
    if (before & CONTROL || kind & CONTROL) return at
    const joined =
      kind & EXTENDS ||
      before & PREPEND ||
      (before & L && kind & (L | V | LV | LVT)) ||
      (before & (V | LV) && kind & (V | T)) ||
      (before & (T | LVT) && kind & T) ||
      (joiner && kind & PICTOGRAPHIC) ||
      (linked && kind & CONSONANT)
    if (!joined) return at
    joiner = picture && next === ZWJ
    picture = (kind & PICTOGRAPHIC) !== 0 || (picture && (kind & EXTEND) !== 0)
    linked = consonant && ((kind & LINKER) !== 0 || (linked && (kind & CONJUNCT_EXTEND) !== 0))
    consonant = (kind & CONSONANT) !== 0 || (consonant && (kind & (LINKER | CONJUNCT_EXTEND)) !== 0)
    c = next
    at += next > 0xffff ? 2 : 1
  }
  return at
}
