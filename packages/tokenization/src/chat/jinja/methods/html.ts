import { take } from '../values/budget'
import { SPACE } from '../values/text'
import entities from './html-entities.json'

/** HTML's named characters by name: `amp;` and, where HTML allows it, `amp` without the semicolon. */
const NAMED = new Map(
  entities.names.split(' ').map((entry) => {
    const at = entry.indexOf('=')
    return [entry.slice(0, at), entry.slice(at + 1)]
  }),
)
const LONGEST_NAME = 32

/** What C1 control codes mean in pages that claim Latin-1: Windows-1252. */
const WINDOWS_1252 = '€\x81‚ƒ„…†‡ˆ‰Š‹Œ\x8dŽ\x8f\x90‘’“”•–—˜™š›œ\x9džŸ'

function numbered(code: number): string {
  if (code === 0 || code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff)) return '\ufffd'
  if (code >= 0x80 && code <= 0x9f) return WINDOWS_1252[code - 0x80]
  const forbidden =
    (code >= 0x1 && code <= 0x8) ||
    code === 0xb ||
    (code >= 0xe && code <= 0x1f) ||
    code === 0x7f ||
    (code >= 0xfdd0 && code <= 0xfdef) ||
    (code & 0xfffe) === 0xfffe
  return forbidden ? '' : String.fromCodePoint(code)
}

function characterOf(whole: string, name: string): string {
  if (name.startsWith('#')) {
    const digits = name.replace(/^#|;$/g, '')
    return numbered(/^x/i.test(digits) ? Number.parseInt(digits.slice(1), 16) : Number.parseInt(digits, 10))
  }
  // A name without its semicolon may run on into the text.
  for (let end = name.length; end > 1; end--) {
    const character = NAMED.get(name.slice(0, end))
    if (character !== undefined) return character + name.slice(end)
  }
  return whole
}

const REFERENCE = new RegExp(`&(#[0-9]+;?|#[xX][0-9a-fA-F]+;?|[^\\t\\n\\f <&#;]{1,${LONGEST_NAME}};?)`, 'g')

/** Python's `html.unescape`. */
export function unescapeMarkup(text: string): string {
  take(text.length)
  return text.includes('&') ? text.replace(REFERENCE, characterOf) : text
}

/** Takes out what stands between `open` and `close`; an opening without an end stays, and all after it. */
function without(text: string, open: string, close: string): string {
  let out = ''
  for (let at = 0; ; ) {
    const start = text.indexOf(open, at)
    const end = start === -1 ? -1 : text.indexOf(close, start)
    if (end === -1) return out + text.slice(at)
    out += text.slice(at, start)
    at = end + close.length
  }
}

const SPACES = new RegExp(`[${SPACE}]+`, 'g')

/** MarkupSafe's `striptags`: without comments and tags, spaces made one, references resolved. */
export function stripTags(text: string): string {
  take(text.length)
  const bare = without(without(text, '<!--', '-->'), '<', '>')
  return unescapeMarkup(bare.replace(SPACES, ' ').replace(/^ | $/g, ''))
}
