import { CLASSES } from './classes.data'
import { lazyTable } from './tables'

/** `\w` of Rust's regex crate. */
export const WORD = 1
/** `char::is_numeric` of Rust's standard library. */
export const NUMERIC = 2
/** Punctuation of the Punctuation and BERT pre-tokenizers. */
export const PUNCTUATION = 4
/** What BertNormalizer's `clean_text` removes (with U+FFFD). */
export const UNCLEAN = 8
/** What BertNormalizer's `strip_accents` removes, after NFD. */
export const ACCENT = 16
/** What the StripAccents normalizer removes. */
export const COMBINING = 32

/** For each code point the classes above, as bits. */
export const classes = lazyTable(CLASSES, (length) => new Uint8Array(length))

/** White_Space: `char::is_whitespace` of Rust, and `\s` of its regex crate. It has not changed since Unicode 6.3. */
export function isWhiteSpace(c: number): boolean {
  if (c <= 0x20) return c === 0x20 || (c >= 0x09 && c <= 0x0d)
  if (c < 0x1680) return c === 0x85 || c === 0xa0
  return (
    c === 0x1680 ||
    (c >= 0x2000 && c <= 0x200a) ||
    c === 0x2028 ||
    c === 0x2029 ||
    c === 0x202f ||
    c === 0x205f ||
    c === 0x3000
  )
}
