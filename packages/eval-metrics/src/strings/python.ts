/**
 * Python's own idea of white space, lengths and rounding, which the original metrics inherit. JavaScript differs:
 * `\s` lacks U+001C..U+001F and U+0085 and has U+FEFF, lengths count UTF-16 units, and `toFixed` rounds ties up.
 */
const SPACE = '\\t-\\r\\x1c-\\x20\\x85\\xa0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000'
const NOT_SPACE = new RegExp(`[^${SPACE}]+`, 'g')
const SPACES_AT_END = new RegExp(`[${SPACE}]+$`)
const SPACES_AT_START = new RegExp(`^[${SPACE}]+`)
const EXOTIC_OR_EDGE = /[^\x21-\x7e ]|^ | $| {2}/

/** `str.split()`: the words between runs of white space. */
export function splitWhitespace(text: string): string[] {
  if (text === '') return []
  // Nearly all text is ASCII with single blanks by now, and String.split is several times faster than a pattern.
  return EXOTIC_OR_EDGE.test(text) ? (text.match(NOT_SPACE) ?? []) : text.split(' ')
}

/** `str.rstrip()`. */
export function rstrip(text: string): string {
  return text === '' || /[!-~]$/.test(text) ? text : text.replace(SPACES_AT_END, '')
}

/** `str.strip()`. */
export function strip(text: string): string {
  return rstrip(text).replace(SPACES_AT_START, '')
}

/** The characters as Python counts them: code points. */
export function codePoints(text: string): string[] {
  return /[\ud800-\udfff]/.test(text) ? Array.from(text) : text.split('')
}

/** `f"{value:.{digits}f}"`: as `toFixed`, but an exact tie goes to the even digit. */
export function formatFixed(value: number, digits: number): string {
  const rounded = value.toFixed(digits)
  if (!Number.isFinite(value) || Math.abs(value) >= 1e21) return rounded
  const exact = Math.abs(value).toFixed(Math.min(100, digits + 60))
  const rest = exact.slice(exact.indexOf('.') + 1 + digits)
  if (!/^50*$/.test(rest)) return rounded
  const kept = exact.slice(0, exact.length - rest.length).replace(/\.$/, '')
  const even = Number(kept.at(-1)) % 2 === 0
  if (!even) return rounded
  return value < 0 ? `-${kept}` : kept
}
