import { codePoints, splitWhitespace, strip } from '../strings/python'

/** The tokenizers sacrebleu offers that need no download. */
export const BLEU_TOKENIZERS = ['13a', 'intl', 'char', 'zh', 'none'] as const
export type BleuTokenizer = (typeof BLEU_TOKENIZERS)[number]

/** Punctuation, then periods and commas not inside numbers, then a dash after a digit: shared by 13a and zh. */
function separateWestern(line: string): string {
  return line
    .replace(/[{-~[-` -&(-+:-@/]/g, ' $& ')
    .replace(/([^0-9])([.,])/g, '$1 $2 ')
    .replace(/([.,])([^0-9])/g, ' $1 $2')
    .replace(/([0-9])(-)/g, '$1 $2 ')
}

/** mteval-v13a, the WMT default. */
function tokenize13a(line: string): string[] {
  let text = line.replaceAll('<skipped>', '').replaceAll('-\n', '').replaceAll('\n', ' ')
  if (text.includes('&'))
    text = text.replaceAll('&quot;', '"').replaceAll('&amp;', '&').replaceAll('&lt;', '<').replaceAll('&gt;', '>')
  return splitWhitespace(separateWestern(` ${text} `))
}

/** mteval-v14: every Unicode punctuation mark not between digits, and every symbol. */
function tokenizeIntl(line: string): string[] {
  return splitWhitespace(
    line
      .replace(/(\P{N})(\p{P})/gu, '$1 $2 ')
      .replace(/(\p{P})(\P{N})/gu, ' $1 $2')
      .replace(/\p{S}/gu, ' $& '),
  )
}

/**
 * What sacrebleu's zh tokenizer takes for Chinese. Its two ranges beyond U+FFFF are misspelt there and in effect mean
 * U+2001..U+2A6D and U+2F81..U+2FA1, which decides how dashes and curly quotes are split; scores must agree, so we keep it.
 */
const CHINESE =
  /[\u3400-\u4db5\u4e00-\u9fbb\uf900-\ufa2d\ufa30-\ufa6a\ufa70-\ufad9\u2001-\u2a6d\uff00-\uffef\u2e80-\u2eff\u3000-\u303f\u31c0-\u31ef\u2f00-\u2fdf\u2ff0-\u2fff\u3100-\u312f\u31a0-\u31bf\ufe10-\ufe1f\ufe30-\ufe4f\u3200-\u33ff]/g

function tokenizeZh(line: string): string[] {
  return splitWhitespace(separateWestern(strip(line).replace(CHINESE, ' $& ')))
}

const TOKENIZERS: Record<BleuTokenizer, (line: string) => string[]> = {
  '13a': tokenize13a,
  intl: tokenizeIntl,
  zh: tokenizeZh,
  char: (line) => codePoints(line).filter((character) => splitWhitespace(character).length > 0),
  none: splitWhitespace,
}

/** @returns the words BLEU counts; joined by blanks they are sacrebleu's tokenized line. */
export function bleuTokens(text: string, tokenize: BleuTokenizer): string[] {
  return TOKENIZERS[tokenize](text)
}
