import { splitWhitespace } from '../strings/python'

/** Tercom's normalization, off by default. */
interface TercomOptions {
  normalized: boolean
  noPunct: boolean
  asianSupport: boolean
  caseSensitive: boolean
}

const ASIAN_PUNCTUATION = /[\u3001\u3002\u3008-\u3011\u3014-\u301f\uff61-\uff65\u30fb]/g
const FULL_WIDTH_PUNCTUATION = /[\uff0e\uff0c\uff1f\uff1a\uff1b\uff01\uff02\uff08\uff09]/g

function normalizeWestern(text: string): string {
  return ` ${text
    .replaceAll('\n-', '')
    .replaceAll('\n', ' ')
    .replaceAll('&quot;', '"')
    .replaceAll('&amp;', '&')
    .replaceAll('&lt;', '<')
    .replaceAll('&gt;', '>')} `
    .replace(/[{-~[-` -&(-+:-@/]/g, ' $& ')
    .replaceAll("'s ", " 's ")
    .replace(/([^0-9])([.,])/g, '$1 $2 ')
    .replace(/([.,])([^0-9])/g, ' $1 $2')
    .replace(/([0-9])(-)/g, '$1 $2 ')
}

/**
 * Ideographs, strokes and their compatibility forms one by one. The range U+3200..U+3F22 is sacrebleu's; its rules for
 * kana runs are anchored in a way that never matches, so kana stay in words.
 */
function normalizeAsian(text: string): string {
  return text
    .replace(/[\u4e00-\u9fff\u3400-\u4dbf]/g, ' $& ')
    .replace(/[\u31c0-\u31ef\u2e80-\u2eff]/g, ' $& ')
    .replace(/[\u3300-\u33ff\uf900-\ufaff\ufe30-\ufe4f]/g, ' $& ')
    .replace(/[\u3200-\u3f22]/g, ' $& ')
    .replace(ASIAN_PUNCTUATION, ' $& ')
    .replace(FULL_WIDTH_PUNCTUATION, ' $& ')
}

/** Words as sacrebleu's Tercom tokenizer makes them. */
export function tercomTokens(text: string, options: TercomOptions): string[] {
  let line = options.caseSensitive ? text : text.toLowerCase()
  if (options.normalized) {
    line = normalizeWestern(line)
    if (options.asianSupport) line = normalizeAsian(line)
  }
  if (options.noPunct) {
    line = line.replace(/[.,?:;!"()]/g, '')
    if (options.asianSupport) line = line.replace(ASIAN_PUNCTUATION, '').replace(FULL_WIDTH_PUNCTUATION, '')
  }
  return splitWhitespace(line)
}
