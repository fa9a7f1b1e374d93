/**
 * English words that carry a period of their own. rouge_score asks NLTK's trained Punkt model, a download; this short
 * list and the rules below decide most texts alike, and where the line breaks already mark sentences none of it is used.
 */
const ABBREVIATIONS = new Set(
  (
    'mr mrs ms dr prof sr jr st rev gen col capt lt sgt gov sen rep hon messrs mme mlle ' +
    'fig figs eq eqs ref refs tab vol no nos pp ed eds ch sec al approx ca cf vs viz resp ' +
    'e.g i.e etc a.m p.m u.s u.k u.n ph.d m.d b.a m.a d.c inc ltd co corp dept univ est ave blvd ' +
    'jan feb mar apr jun jul aug sep sept oct nov dec mon tue wed thu fri sat'
  ).split(' '),
)
/** Of these, the ones that may also end a sentence when a capital follows. */
const CAN_END = new Set('etc al a.m p.m u.s u.k u.n inc ltd co corp d.c ph.d m.d'.split(' '))

const END = /[.!?]+["')\]}\u2019\u201d\u00bb]*(?=\s)/gu
const LOWER_START = /^\s+["'(\u2018\u201c\u00ab]*[\p{Ll},;:]/u

function endsSentence(before: string, mark: string, after: string): boolean {
  if (!mark.startsWith('.')) return !LOWER_START.test(after)
  if (LOWER_START.test(after)) return false
  if (mark.startsWith('..')) return true
  const word = /[^\s("'\u2018\u201c\u00ab[]*$/u.exec(before)?.[0] ?? ''
  if (/^\p{Lu}$/u.test(word)) return false // an initial
  const plain = word.toLowerCase()
  return !ABBREVIATIONS.has(plain) || CAN_END.has(plain)
}

/**
 * Splits English text into sentences: at `.`, `!` or `?` (closing quotes and brackets stay with it) before white space,
 * unless the next word starts in lower case or the period belongs to an abbreviation or an initial.
 *
 * @returns the sentences without the white space between them; none for blank text.
 */
export function splitSentences(text: string): string[] {
  const sentences: string[] = []
  let start = 0
  for (const match of text.matchAll(END)) {
    const end = match.index + match[0].length
    // A window is enough for both looks, and keeps long texts linear.
    const before = text.slice(Math.max(start, match.index - 40), match.index)
    if (!endsSentence(before, match[0], text.slice(end, end + 40))) continue
    sentences.push(text.slice(start, end))
    start = end
  }
  sentences.push(text.slice(start))
  return sentences.map((sentence) => sentence.trim()).filter((sentence) => sentence !== '')
}
