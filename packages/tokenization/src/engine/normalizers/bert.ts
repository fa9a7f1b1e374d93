import { Changes, eachCodePoint, type NormalizedText } from '../normalized-text'
import { ACCENT, classes, isWhiteSpace, UNCLEAN } from '../unicode/classes'
import { isNormal, normalForm } from '../unicode/normal-forms'
import { lowercase } from './lowercase'

export interface BertSettings {
  clean_text: boolean
  handle_chinese_chars: boolean
  /** Null: as `lowercase` says. */
  strip_accents: boolean | null
  lowercase: boolean
}

/** The clean-up of BERT: control characters, white space, spaces around ideographs, accents, case. */
export function bertNormalizer(settings: BertSettings): (text: NormalizedText) => void {
  const stripAccents = settings.strip_accents ?? settings.lowercase
  return (text) => {
    if (settings.clean_text) cleanText(text)
    if (settings.handle_chinese_chars) spaceIdeographs(text)
    if (stripAccents) {
      if (!isNormal(text.text, 'NFD')) text.transform(normalForm(text.text, 'NFD'), 0)
      // There are accents that no normal form knows, like the variation selectors.
      text.filter((c) => (classes()[c]! & ACCENT) === 0)
    }
    if (settings.lowercase) lowercase(text)
  }
}

function cleanText(text: NormalizedText): void {
  text.filter((c) => c !== 0 && c !== 0xfffd && (classes()[c]! & UNCLEAN) === 0)
  // Every white space is one unit, like the blank that replaces it.
  let out = ''
  let copied = 0
  const { text: old } = text
  for (let i = 0; i < old.length; i++) {
    const unit = old.charCodeAt(i)
    if (unit === 0x20 || !isWhiteSpace(unit)) continue
    out += `${old.slice(copied, i)} `
    copied = i + 1
  }
  if (copied > 0) text.rewrite(out + old.slice(copied))
}

function spaceIdeographs(text: NormalizedText): void {
  if (!/[\u3400-\u9fff\uf900-\ufaff\ud840-\ud87e]/.test(text.text)) return
  const changes = new Changes()
  eachCodePoint(text.text, (c) => {
    if (!isIdeograph(c)) changes.push(c, 0)
    else {
      changes.push(0x20, 0)
      changes.push(c, 1)
      changes.push(0x20, 1)
    }
  })
  text.transform(changes, 0)
}

/** What BERT takes for Chinese: the blocks of CJK ideographs of its time. */
function isIdeograph(c: number): boolean {
  return (
    (c >= 0x4e00 && c <= 0x9fff) ||
    (c >= 0x3400 && c <= 0x4dbf) ||
    (c >= 0x20000 && c <= 0x2a6df) ||
    (c >= 0x2a700 && c <= 0x2b73f) ||
    (c >= 0x2b740 && c <= 0x2b81f) ||
    (c >= 0x2b920 && c <= 0x2ceaf) ||
    (c >= 0xf900 && c <= 0xfaff) ||
    (c >= 0x2f800 && c <= 0x2fa1f)
  )
}
