import { splitSentences } from '@tunesmith/eval-metrics'
import { createAnalyser } from '../text/analyse'
import { NOT_IN_SOURCES, type NumberedPassage } from './rag-prompt'

/** A number that the answer cites. */
export interface Citation {
  number: number
  /** Place of its brackets in the answer. */
  at: number
  /** Undefined when no such source was given. */
  passage: NumberedPassage | undefined
}

/** A sentence of the answer. */
export interface Claim {
  text: string
  /** The numbers cited in it that were given. */
  citations: number[]
  /** Share of its content words that stand in the cited sources, or in all where it cites none. */
  support: number
  supported: boolean
}

export interface CheckedAnswer {
  citations: Citation[]
  /** Numbers that were cited and not given. */
  unknown: number[]
  claims: Claim[]
  /** Share of the claims that are supported; 1 for an answer that claims nothing. */
  groundedness: number
  /** The answer says that it is not in the sources. */
  abstained: boolean
}

export interface CheckOptions {
  /** A claim with a smaller share of its content words in the sources is flagged. Default 0.6. */
  threshold?: number
}

const CITATION = /\[(\d{1,4}(?:\s*[,;\u2013-]\s*\d{1,4})*)\]/g
const analyse = createAnalyser({ stem: true })
const EMPTY_WORDS = new Set(
  analyse(
    'a about after all also although an and any are as at be because been before between both but by can could did do does during each for from ' +
      'had has have he her his how however if in into is it its may might more most no nor not of on or other our she should since so some such than ' +
      'that the their them then there these they this those through thus to too under until up upon very was we were what when where whether which ' +
      'while who whom whose why will with within without would you your source sources according',
  ),
)

/**
 * Reads an answer's citations, `[1]`, `[1, 3]` and `[2-4]`, and checks them against what was given. A claim is supported when enough of its
 * content words, stemmed, stand in the sources that it cites: a test of words, which finds what came from nowhere and cannot find a wrong sense.
 */
export function checkCitations(
  answer: string,
  given: readonly NumberedPassage[],
  { threshold = 0.6 }: CheckOptions = {},
): CheckedAnswer {
  const byNumber = new Map(given.map((passage) => [passage.number, passage]))
  const citations = [...answer.matchAll(CITATION)].flatMap((match) =>
    numbersIn(match[1]!).map((number) => ({ number, at: match.index, passage: byNumber.get(number) })),
  )
  const words = new Map(given.map(({ number, text }) => [number, new Set(analyse(text))]))
  const claims = claimsOf(answer).map((text): Claim => {
    const cited = [...text.matchAll(CITATION)].flatMap((match) => numbersIn(match[1]!)).filter((n) => words.has(n))
    const sources = cited.length > 0 ? cited.map((n) => words.get(n)!) : [...words.values()]
    const content = [...new Set(analyse(text.replace(CITATION, ' ')))].filter((word) => !EMPTY_WORDS.has(word))
    const found = content.filter((word) => sources.some((source) => source.has(word))).length
    const support = content.length > 0 ? found / content.length : 1
    return { text, citations: [...new Set(cited)], support, supported: support >= threshold }
  })
  const unknown = new Set(citations.flatMap(({ number, passage }) => (passage ? [] : [number])))
  const supported = claims.filter((claim) => claim.supported).length
  return {
    citations,
    unknown: [...unknown],
    claims,
    groundedness: claims.length > 0 ? supported / claims.length : 1,
    abstained: isAbstention(answer),
  }
}

const plain = (text: string) =>
  text
    .toLowerCase()
    .replace(/[^\p{L}\p{N}]+/gu, ' ')
    .trim()
const isAbstention = (answer: string) => plain(answer).startsWith(plain(NOT_IN_SOURCES))

/** Sentences that say something. Citations behind the full stop belong to the sentence before them. */
function claimsOf(answer: string): string[] {
  const inside = answer.replace(
    /([.!?])(\s*(?:\[\d[^\]\n]{0,60}\]\s*)+)/g,
    (_, mark: string, cited: string) => ` ${cited.trim()}${mark} `,
  )
  return splitSentences(inside).filter(
    (sentence) => plain(sentence.replace(CITATION, '')) !== '' && !isAbstention(sentence),
  )
}

/** `1`, `1, 3`, `2-4`. */
function numbersIn(list: string): number[] {
  return list.split(/[,;]/).flatMap((part) => {
    const [from, to = from] = part.split(/[\u2013-]/).map(Number) as [number, number?]
    // A range of many is more likely something else in brackets.
    return to! >= from && to! - from < 50 ? Array.from({ length: to! - from + 1 }, (_, i) => from + i) : [from, to!]
  })
}
