import { TemplateSyntaxFault } from '../values/fault'
import { escapedCode } from '../values/repr'

const SIMPLE: Record<string, string> = {
  '\n': '',
  '\\': '\\',
  "'": "'",
  '"': '"',
  a: '\x07',
  b: '\b',
  f: '\f',
  n: '\n',
  r: '\r',
  t: '\t',
  v: '\v',
}

const DIGITS: Record<string, number> = { x: 2, u: 4, U: 8 }

/** A string literal's text: Python's escapes; a backslash before anything else stays. */
export function unescapeString(text: string, line: number): string {
  if (!text.includes('\\')) return text
  // Jinja2 writes other scripts as escapes first, so that a backslash before one of their letters escapes that escape.
  const ascii = text.replace(/[^\0-\x7f]/gu, (character) => escapedCode(character.codePointAt(0)!))
  return ascii.replace(
    /\\(?:([0-7]{1,3})|([\s\S]))([0-9a-fA-F]{0,8})/g,
    (_, octal: string | undefined, letter: string, hex: string) => {
      if (octal !== undefined) return String.fromCharCode(Number.parseInt(octal, 8)) + hex
      if (Object.hasOwn(SIMPLE, letter)) return SIMPLE[letter] + hex
      if (letter === 'N') throw new TemplateSyntaxFault('characters by name (\\N{...}) are not supported', line, true)
      const count = DIGITS[letter]
      if (count === undefined) return `\\${letter}${hex}`
      if (hex.length < count) throw new TemplateSyntaxFault(`truncated \\${letter}${'X'.repeat(count)} escape`, line)
      const code = Number.parseInt(hex.slice(0, count), 16)
      if (code > 0x10ffff) throw new TemplateSyntaxFault('illegal Unicode character', line)
      return String.fromCodePoint(code) + hex.slice(count)
    },
  )
}
