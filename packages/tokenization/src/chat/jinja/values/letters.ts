/** What Python's str knows of letters, where JavaScript's own functions differ. */

const TITLE: Record<string, string> = {}
for (const trio of ['ǄǅǆǅǄ', 'ǇǈǉǈǇ', 'ǊǋǌǋǊ', 'ǱǲǳǲǱ']) for (const letter of trio) TITLE[letter] = trio[1]
for (let code = 0x1f80; code <= 0x1faf; code++) TITLE[String.fromCharCode(code)] = String.fromCharCode(code | 8)
for (const code of [0x1fb3, 0x1fc3, 0x1ff3]) {
  TITLE[String.fromCharCode(code)] = String.fromCharCode(code + 9)
  TITLE[String.fromCharCode(code + 9)] = String.fromCharCode(code + 9)
}

/** A character as a word begins with it: `ǆ` gives `ǅ`, `ß` gives `Ss`. */
function titleLetter(character: string): string {
  if (TITLE[character]) return TITLE[character]
  if (/[\u10d0-\u10ff]/.test(character)) return character
  const [first, ...rest] = character.toUpperCase()
  // Iota below a vowel with an accent is written beside it, and stays small.
  return first + rest.join('').toLowerCase()
}

const CASED = /[\p{Lowercase}\p{Uppercase}\p{Lt}]/u

/** `str.capitalize`. */
export function capitalize(text: string): string {
  const first = text[Symbol.iterator]().next().value
  return first === undefined ? '' : titleLetter(first) + lowerTail(text, first.length)
}

/** The lower case of what follows `start`, with a final sigma judged by the whole text. */
function lowerTail(text: string, start: number): string {
  const head = text.slice(0, start)
  return text.toLowerCase().slice(head.toLowerCase().length)
}

/** `str.title`. */
export function title(text: string): string {
  let out = ''
  let inWord = false
  let at = 0
  for (const character of text) {
    out += inWord ? lowerAt(text, at, character) : titleLetter(character)
    inWord = CASED.test(character)
    at += character.length
  }
  return out
}

/** A capital sigma ends a word as `ς`: only then does the lower case of a letter depend on its neighbours. */
function lowerAt(text: string, at: number, character: string): string {
  if (character !== 'Σ') return character.toLowerCase()
  const before = /(\S*)$/.exec(text.slice(Math.max(0, at - 64), at))![0]
  const after = /^(\S*)/.exec(text.slice(at + 1, at + 65))![0]
  return (before + character + after).toLowerCase()[before.toLowerCase().length]
}

/** `str.swapcase`. */
export function swapCase(text: string): string {
  let out = ''
  let at = 0
  for (const character of text) {
    if (/\p{Uppercase}/u.test(character)) out += lowerAt(text, at, character)
    else if (/\p{Lowercase}/u.test(character)) out += character.toUpperCase()
    else out += character
    at += character.length
  }
  return out
}

/** `str.casefold`. */
export function caseFold(text: string): string {
  let out = ''
  for (const character of text) {
    if (character === 'ı' || /[\u13a0-\u13f5]/.test(character)) out += character
    else if (character === 'ẞ') out += 'ss'
    else if (/[\u13f8-\u13fd\uab70-\uabbf]/.test(character)) out += character.toUpperCase()
    else for (const upper of character.toUpperCase()) out += upper.toLowerCase()
  }
  return out
}

const every = (text: string, pattern: RegExp) => text !== '' && pattern.test(text)

/** Digits that are not decimal: superscripts, circled and the like. */
const DIGITS =
  '\\u00b2\\u00b3\\u00b9\\u1369-\\u1371\\u19da\\u2070\\u2074-\\u2079\\u2080-\\u2089\\u2460-\\u2468\\u2474-\\u247c\\u2488-\\u2490\\u24ea\\u24f5-\\u24fd\\u24ff\\u2776-\\u277e\\u2780-\\u2788\\u278a-\\u2792\\u{10a40}-\\u{10a43}\\u{10e60}-\\u{10e68}\\u{11052}-\\u{1105a}\\u{1f100}-\\u{1f10a}'
/** Ideographs that are numerals. */
const NUMERALS =
  '\\u3405\\u3483\\u382a\\u3b4d\\u4e00\\u4e03\\u4e07\\u4e09\\u4e5d\\u4e8c\\u4e94\\u4e96\\u4ebf-\\u4ec0\\u4edf\\u4ee8\\u4f0d\\u4f70\\u5104\\u5146\\u5169\\u516b\\u516d\\u5341\\u5343-\\u5345\\u534c\\u53c1-\\u53c4\\u56db\\u58f1\\u58f9\\u5e7a\\u5efe-\\u5eff\\u5f0c-\\u5f0e\\u5f10\\u62fe\\u634c\\u67d2\\u6f06\\u7396\\u767e\\u8086\\u842c\\u8cae\\u8cb3\\u8d30\\u9621\\u9646\\u964c\\u9678\\u96f6\\uf96b\\uf973\\uf978\\uf9b2\\uf9d1\\uf9d3\\uf9fd\\u{20001}\\u{20064}\\u{200e2}\\u{20121}\\u{2092a}\\u{20983}\\u{2098c}\\u{2099c}\\u{20aea}\\u{20afd}\\u{20b19}\\u{22390}\\u{22998}\\u{23b1b}\\u{2626d}\\u{2f890}'

const ALPHA = /^\p{L}+$/u
const DECIMAL = /^\p{Nd}+$/u
const DIGIT = new RegExp(`^[\\p{Nd}${DIGITS}]+$`, 'u')
const NUMERIC = new RegExp(`^[\\p{N}${NUMERALS}]+$`, 'u')
const ALNUM = /^[\p{L}\p{N}]+$/u
const UNPRINTABLE = /(?! )[\p{C}\p{Z}]/u
const IDENTIFIER = /^[\p{XID_Start}_]\p{XID_Continue}*$/u

export const isAlpha = (text: string) => every(text, ALPHA)
export const isDecimal = (text: string) => every(text, DECIMAL)
export const isDigit = (text: string) => every(text, DIGIT)
export const isNumeric = (text: string) => every(text, NUMERIC)
export const isAlnum = (text: string) => every(text, ALNUM)
export const isPrintable = (text: string) => !UNPRINTABLE.test(text)
export const isIdentifier = (text: string) => every(text, IDENTIFIER)
export const isLower = (text: string) => /\p{Lowercase}/u.test(text) && !/[\p{Uppercase}\p{Lt}]/u.test(text)
export const isUpper = (text: string) => /\p{Uppercase}/u.test(text) && !/[\p{Lowercase}\p{Lt}]/u.test(text)

/** `str.istitle`: capitals where words begin and nowhere else. */
export function isTitle(text: string): boolean {
  let inWord = false
  let any = false
  for (const character of text) {
    const capital = /[\p{Uppercase}\p{Lt}]/u.test(character)
    const small = !capital && /\p{Lowercase}/u.test(character)
    if ((capital && inWord) || (small && !inWord)) return false
    inWord = capital || small
    any ||= inWord
  }
  return any
}
