/** Python's str counts code points; JavaScript's strings count UTF-16 units. Most texts have no unit that tells them apart. */
const SURROGATE = /[\ud800-\udfff]/

export function hasSurrogates(text: string): boolean {
  return SURROGATE.test(text)
}

/** How many code points. */
export function lengthOf(text: string): number {
  if (!hasSurrogates(text)) return text.length
  let length = 0
  for (const _ of text) length++
  return length
}

/** The code point at a place, which may count from the end; undefined outside of the text. */
export function characterAt(text: string, index: number): string | undefined {
  const points = hasSurrogates(text) ? Array.from(text) : text
  return points[index < 0 ? index + points.length : index]
}

/** The index of a code point, of the UTF-16 unit it starts at. */
export function pointIndex(text: string, unit: number): number {
  return unit <= 0 || !hasSurrogates(text) ? unit : lengthOf(text.slice(0, unit))
}

/** `text[start:stop]` for bounds that are in range. */
export function pointSlice(text: string, start: number, stop: number): string {
  return hasSurrogates(text) ? Array.from(text).slice(start, stop).join('') : text.slice(start, stop)
}

/** What Python's `str.isspace` and `\s` take as space; JavaScript's `\s` differs at U+001C to U+001F, U+0085 and U+FEFF. */
export const SPACE = '\\t-\\r\\x1c-\\x20\\x85\\xa0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000'

const LEADING = new RegExp(`^[${SPACE}]+`)
const SPACE_CHARACTER = new RegExp(`[${SPACE}]`)

export function isSpace(character: string): boolean {
  return SPACE_CHARACTER.test(character)
}

/** Takes space off the left. */
export function stripLeft(text: string): string {
  return text.replace(LEADING, '')
}

/** Takes space off the right, in linear time. */
export function stripRight(text: string): string {
  let end = text.length
  while (end > 0 && isSpace(text[end - 1])) end--
  return text.slice(0, end)
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: Python ends lines at them
const LINE_BREAK = /\r\n|[\n\r\v\f\x1c-\x1e\x85\u2028\u2029]/g

/** `str.splitlines`. */
export function splitLines(text: string, keepEnds = false): string[] {
  const lines: string[] = []
  let at = 0
  for (const match of text.matchAll(LINE_BREAK)) {
    lines.push(text.slice(at, match.index + (keepEnds ? match[0].length : 0)))
    at = match.index + match[0].length
  }
  if (at < text.length) lines.push(text.slice(at))
  return lines
}

/** -1, 0 or 1, by code points. UTF-16 units order texts in the same way but for surrogates against U+E000 to U+FFFF. */
export function compareText(a: string, b: string): number {
  if (a === b) return 0
  if (!hasSurrogates(a) && !hasSurrogates(b)) return a < b ? -1 : 1
  let at = 0
  while (at < a.length && a[at] === b[at]) at++
  // In the middle of a pair, the pair decides.
  if (at > 0 && /[\ud800-\udbff]/.test(a[at - 1])) at--
  return (a.codePointAt(at) ?? -1) < (b.codePointAt(at) ?? -1) ? -1 : 1
}

/** `&`, `<`, `>` and both quotes, as MarkupSafe writes them. */
export function escapeMarkup(text: string): string {
  return text.replace(/[&<>'"]/g, (character) => ENTITIES[character])
}
const ENTITIES: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', "'": '&#39;', '"': '&#34;' }
