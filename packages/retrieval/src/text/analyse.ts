import { invalidOptions, parseOptions } from '@tunesmith/core'
import { porterStem } from '@tunesmith/eval-metrics'
import { z } from 'zod'

export const analyserSchema = z.strictObject({
  /** BCP 47. Languages written without blanks (`zh`, `ja`, `th`, `lo`, `km`, `my`) are cut by the dictionary of `Intl.Segmenter`. Default `en`. */
  language: z.string().min(2).default('en'),
  /** Porter stems (M. F. Porter 1980), English only: `studies` finds `study`. Default false. */
  stem: z.boolean().default(false),
  /** `Ménière` and `meniere` are one word: compatibility forms are resolved and marks dropped. Default true. */
  fold: z.boolean().default(true),
})
/** How text becomes the words that are looked up; an index keeps its own. */
export type AnalyserOptions = z.input<typeof analyserSchema>
export type Analyser = (text: string) => string[]

const WORDS = /[\p{L}\p{N}\p{M}_]+/gu
const MARKS = /\p{M}+/gu
const ASCII = /^\p{ASCII}*$/u
const WITHOUT_BLANKS = new Set(['zh', 'ja', 'th', 'lo', 'km', 'my'])
/** Nobody types a longer word; base64 in a page is cut here. */
const LONGEST = 255

/**
 * Makes the analyser: lower-case words of letters, digits, marks and `_`, in the order of the text, no stop words.
 *
 * @throws {TunesmithError} `invalid_options` for stems of a language that is not English, or no language.
 */
export function createAnalyser(options: AnalyserOptions = {}): Analyser {
  const { stem, fold, ...parsed } = parseOptions(analyserSchema, options, 'createAnalyser')
  const language = languageOf(parsed.language)
  if (stem && language !== 'en')
    throw invalidOptions(`There are no stems for the language "${parsed.language}"`, {
      where: 'analyser.stem',
      remedy: 'Leave stem out, or set language: "en"',
    })
  const cut = WITHOUT_BLANKS.has(language) ? segments(language) : (text: string) => text.match(WORDS) ?? []
  const stems = new Map<string, string>()
  const stemOf = (word: string) => {
    let found = stems.get(word)
    if (found === undefined) {
      if (stems.size > 200_000) stems.clear()
      found = porterStem(word)
      stems.set(word, found)
    }
    return found
  }
  return (text) => {
    const plain = fold && !ASCII.test(text) ? text.normalize('NFKD').replace(MARKS, '') : text
    const words = cut(plain.toLowerCase())
    for (let i = 0; i < words.length; i++) {
      const word = words[i]!
      if (word.length > LONGEST) words[i] = word.slice(0, LONGEST)
      else if (stem && word.length > 2) words[i] = stemOf(word)
    }
    return words
  }
}

function languageOf(tag: string): string {
  try {
    return new Intl.Locale(tag).language
  } catch (cause) {
    throw invalidOptions(`"${tag}" is not a language`, {
      where: 'analyser.language',
      remedy: 'Write it like "en" or "pt-BR"',
      cause,
    })
  }
}

function segments(language: string): Analyser {
  const segmenter = new Intl.Segmenter(language, { granularity: 'word' })
  return (text) => [...segmenter.segment(text)].flatMap(({ segment, isWordLike }) => (isWordLike ? [segment] : []))
}
