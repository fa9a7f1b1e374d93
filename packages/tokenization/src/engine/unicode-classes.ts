import { LETTERS, MARKS, NUMBERS, PUNCTUATION, SPACES } from './unicode-classes.data'

export const LETTER = 1
export const NUMBER = 2
export const SPACE = 4
export const MARK = 8
export const PUNCT = 16

let table: Uint8Array | undefined

/** For each code point the classes Rust `tokenizers` puts it in, as bits; 0 for "none of these". */
export function unicodeClasses(): Uint8Array {
  if (table) return table
  table = new Uint8Array(0x110000)
  for (const [ranges, bit] of [
    [LETTERS, LETTER],
    [NUMBERS, NUMBER],
    [SPACES, SPACE],
    [MARKS, MARK],
    [PUNCTUATION, PUNCT],
  ] as const) {
    const numbers = ranges.split(' ').map((word) => Number.parseInt(word, 36))
    for (let i = 0, at = 0; i < numbers.length; i += 2) {
      const first = at + numbers[i]!
      at = first + numbers[i + 1]!
      for (let c = first; c <= at; c++) table[c]! |= bit
    }
  }
  return table
}
