import { z } from 'zod'
import type { TextContext } from '../context'
import type { Matches, NormalizedText } from '../normalized-text'
import { spellBytes } from '../normalizers/byte-level'
import { char, inexact, type Loading, pattern, readSequence, readStep } from '../read-step'
import { compilePattern } from '../regex/pattern'
import { GPT2_REGEX } from '../split-words'
import type { StepJson } from '../tokenizer-json'
import { classes, isWhiteSpace, NUMERIC, PUNCTUATION, WORD } from '../unicode/classes'
import { once } from '../unicode/tables'
import { metaspace, readMetaspace } from './metaspace'
import { splitScripts } from './scripts'
import { BEHAVIORS, type Behavior, inverted, matchesOf, splitAt } from './split'

/** Cuts one stretch of a text into words; it may change them. */
export type PreTokenizer = (text: NormalizedText, context: TextContext) => NormalizedText[]

const PLACE = 'pre_tokenizer'
const isNumeric = (c: number) => (classes()[c]! & NUMERIC) !== 0
const isPunctuation = (c: number) => (classes()[c]! & PUNCTUATION) !== 0
const gpt2 = once(() => compilePattern({ Regex: GPT2_REGEX }, PLACE, 'tokenizer'))

/** @throws {TunesmithError} `unsupported` by name, or `invalid_file`. */
export function compilePreTokenizers(json: StepJson | null, loading: Loading): PreTokenizer {
  if (json === null) return (text) => [text]
  const read = <Shape extends z.ZodRawShape>(shape: Shape) => readStep(json, shape, PLACE, loading)
  const cutAt =
    (is: (c: number) => boolean, behavior: Behavior): PreTokenizer =>
    (text) =>
      splitAt(text, matchesOf(text.text, is), behavior)
  switch (json.type) {
    case 'Sequence': {
      const steps = readSequence(json, 'pretokenizers', PLACE, loading).map((step) =>
        compilePreTokenizers(step, loading),
      )
      return (text, context) => steps.reduce((words, step) => inTurn(words, step, context), [text])
    }
    case 'BertPreTokenizer': {
      read({})
      const words = cutAt(isWhiteSpace, 'Removed')
      const marks = cutAt(isPunctuation, 'Isolated')
      return (text, context) => inTurn(words(text, context), marks, context)
    }
    case 'ByteLevel': {
      const { add_prefix_space, use_regex } = read({
        add_prefix_space: z.boolean(),
        trim_offsets: z.boolean(),
        use_regex: z.boolean().default(true),
      })
      return (text, { continued }) => {
        if (add_prefix_space && !text.text.startsWith(' ') && !(continued && text.from === 0)) text.prepend(' ')
        const words = use_regex ? splitAt(text, gpt2()(text.text), 'Isolated') : [text]
        for (const word of words) spellBytes(word)
        return words
      }
    }
    case 'Whitespace':
      read({})
      return (text) => splitAt(text, wordsAndMarks(text.text), 'Removed')
    case 'WhitespaceSplit':
      read({})
      return cutAt(isWhiteSpace, 'Removed')
    case 'Metaspace':
      return metaspace(readMetaspace(json, PLACE, loading))
    case 'Digits': {
      const { individual_digits } = read({ individual_digits: z.boolean() })
      return cutAt(isNumeric, individual_digits ? 'Isolated' : 'Contiguous')
    }
    case 'Punctuation': {
      const { behavior } = read({ behavior: z.enum(BEHAVIORS).default('Isolated') })
      return cutAt(isPunctuation, behavior)
    }
    case 'Split': {
      const { behavior, invert, ...rest } = read({ pattern, behavior: z.enum(BEHAVIORS), invert: z.boolean() })
      const find = compilePattern(rest.pattern, `${PLACE} Split`, loading.where)
      return (text) => splitAt(text, invert ? inverted(find(text.text)) : find(text.text), behavior)
    }
    case 'CharDelimiterSplit': {
      const delimiter = read({ delimiter: char }).delimiter.codePointAt(0)!
      return cutAt((c) => c === delimiter, 'Removed')
    }
    case 'UnicodeScripts':
      read({})
      return splitScripts
    case 'FixedLength': {
      const { length } = read({ length: z.int().min(1).default(5) })
      return (text) => fixedLength(text, length)
    }
    default:
      throw inexact(`pre-tokenizer ${json.type}`, loading.where)
  }
}

/** Cuts each of some words further; what has become empty is left out. */
function inTurn(words: NormalizedText[], step: PreTokenizer, context: TextContext): NormalizedText[] {
  const out: NormalizedText[] = []
  for (const word of words) for (const part of step(word, context)) if (part.text !== '') out.push(part)
  return out
}

/** `\w+|[^\w\s]+` of the regex crate: what it matches are the gaps here, and white space between them the matches. */
function wordsAndMarks(text: string): Matches {
  const table = classes()
  const out: Matches = []
  let start = 0
  let kind = -1
  for (let i = 0; i < text.length; ) {
    const c = text.codePointAt(i)!
    const now = (table[c]! & WORD) !== 0 ? 0 : isWhiteSpace(c) ? 2 : 1
    if (now !== kind && i > start) {
      out.push(start, i, kind === 2 ? 1 : 0)
      start = i
    }
    kind = now
    i += c > 0xffff ? 2 : 1
  }
  if (start < text.length) out.push(start, text.length, kind === 2 ? 1 : 0)
  return out
}

function fixedLength(text: NormalizedText, length: number): NormalizedText[] {
  const out: NormalizedText[] = []
  let start = 0
  let count = 0
  for (let i = 0; i < text.text.length; ) {
    i += text.text.codePointAt(i)! > 0xffff ? 2 : 1
    if (++count < length && i < text.text.length) continue
    out.push(text.slice(start, i))
    start = i
    count = 0
  }
  return out
}
