import { invalidOptions, type Message } from '@tunesmith/core'
import type { Passage } from '../search/search'
import { type CountTokens, countWords } from '../text/chunk'

/** What the model is told to say when the passages do not hold the answer. */
export const NOT_IN_SOURCES = 'Not in the sources.'

const INSTRUCTIONS = `Answer the question from the numbered sources alone. Put the number of the source behind every claim, like [1] or [1, 3]. If the sources do not hold the answer, say "${NOT_IN_SOURCES}"`

/** A passage under the number by which the answer cites it. */
export type NumberedPassage = Pick<Passage, 'id' | 'document' | 'source' | 'text'> & { number: number }

export interface RagPromptOptions {
  question: string
  /** Best first. */
  passages: readonly Pick<Passage, 'id' | 'document' | 'source' | 'text'>[]
  /** Tokens that instructions, passages and question may take together. */
  maxTokens: number
  /** Default: words and marks; a model's tokenizer counts more. */
  countTokens?: CountTokens
  /** The system message. Default: answer from the sources, cite by number, say when it is not in them. */
  instructions?: string
}

export interface RagPrompt {
  messages: Message[]
  /** The passages that the model is given, in the order of their numbers. */
  used: NumberedPassage[]
  /** Passages that did not fit. */
  left: number
  tokens: number
}

/**
 * A question with the best passages that fit, numbered from 1. A passage that does not fit is left out whole, and shorter ones behind it are
 * still tried.
 *
 * @throws {TunesmithError} `invalid_options` when not even the question fits.
 */
export function ragPrompt(options: RagPromptOptions): RagPrompt {
  const { question, passages, maxTokens, countTokens = countWords, instructions = INSTRUCTIONS } = options
  const messagesOf = (used: readonly NumberedPassage[]): Message[] => [
    { role: 'system', content: instructions },
    {
      role: 'user',
      content: `${used.length > 0 ? used.map(sourceText).join('\n\n') : 'There are no sources.'}\n\nQuestion: ${question}`,
    },
  ]
  const size = (used: readonly NumberedPassage[]) =>
    messagesOf(used).reduce((sum, { content }) => sum + countTokens(content as string), 0)
  if (size([]) > maxTokens)
    throw invalidOptions(`The question alone takes ${size([])} tokens, and ${maxTokens} are allowed`, {
      where: 'ragPrompt, maxTokens',
      remedy: 'Allow more, or ask shorter',
    })
  let used: NumberedPassage[] = []
  for (const { id, document, source, text } of passages) {
    const more = [...used, { id, document, source, text, number: used.length + 1 }]
    if (size(more) <= maxTokens) used = more
  }
  return { messages: messagesOf(used), used, left: passages.length - used.length, tokens: size(used) }
}

/** A text cannot pretend to be another source: a number in brackets at the beginning of its lines loses them. */
const sourceText = ({ number, source, text }: NumberedPassage) =>
  `[${number}] ${source.replace(/\s+/g, ' ')}\n${text.trim().replace(/^\[(\d+)\]/gm, '($1)')}`
