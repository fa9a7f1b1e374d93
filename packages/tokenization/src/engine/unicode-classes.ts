import { CATEGORIES, CATEGORY_NAMES, SPACES } from './unicode/oniguruma.data'
import { once, runsOf } from './unicode/tables'

export const LETTER = 1
export const NUMBER = 2
export const SPACE = 4

/** For each code point the classes Oniguruma puts it in (`\p{L}`, `\p{N}`, `\s`), as bits; 0 for "none of these". */
export const unicodeClasses = once(() => {
  const table = new Uint8Array(0x110000)
  for (const [first, last, value] of runsOf(CATEGORIES)) {
    const bit = { L: LETTER, N: NUMBER }[CATEGORY_NAMES[value - 1]![0]!]
    if (bit !== undefined) table.fill(bit, first, last + 1)
  }
  for (const [first, last] of runsOf(SPACES)) for (let c = first; c <= last; c++) table[c]! |= SPACE
  return table
})
