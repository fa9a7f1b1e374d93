import { isTunesmithError, type Message } from '@tunesmith/core'
import type { TokenizerState } from '../tokenizer-state'
import { TurnFinder } from './derived-spans'
import { endTags } from './end-tokens'
import type { ParsedChatOptions } from './options'
import { chooseTemplate } from './render'
import { followUp, specialTokens } from './speaker-tokens'

const QUESTION = 'Is it raining?'
const ANSWER = 'It is.'
const asText = (role: string, content: string): Message => ({ role, content })
const asParts = (role: string, text: string): Message => ({ role, content: [{ type: 'text', text }] })
const call = { name: 'look_outside', arguments: { window: 'north' } }
/** Conversations that end with the assistant; of each group the first that the template prints is taken. */
const SAMPLES: readonly (readonly Message[])[][] = [
  [asText, asParts].map((say) => [say('user', QUESTION), say('assistant', ANSWER)]),
  ['', null].map((content) => [
    asText('user', QUESTION),
    { role: 'assistant', content, tool_calls: [{ id: 'call00001', type: 'function', function: call }] },
  ]),
]

/**
 * The texts that a template ends the assistant's last turn with, an answer or a call of a tool: special tokens, and tags
 * that are named as ends; where it prints none, the token of the next speaker. Empty when it has none of these, or prints no
 * conversation of a question and an answer.
 */
export function endOfTurnTexts(tokenizer: TokenizerState, options: ParsedChatOptions): string[] {
  const chosen = { ...options, template: chooseTemplate(tokenizer, options), addGenerationPrompt: false }
  const special = specialTokens(tokenizer)
  const ends = SAMPLES.flatMap((samples) => {
    const followed = samples.map((messages) => [...messages, followUp(messages[1]!)])
    for (const group of [samples, followed]) {
      // A text where lists of parts are expected may be printed as nothing.
      const closing = firstOf(group, (messages) => closingOf(tokenizer, messages, chosen) || undefined)
      const tags = endTags(closing ?? '', special)
      if (tags.length > 0) return tags
    }
    return []
  })
  return [...new Set(ends)]
}

function firstOf<T, R>(list: readonly T[], of: (item: T) => R | undefined): R | undefined {
  for (const item of list) {
    const result = of(item)
    if (result !== undefined) return result
  }
  return undefined
}

function closingOf(tokenizer: TokenizerState, messages: readonly Message[], options: ParsedChatOptions) {
  try {
    return new TurnFinder(tokenizer, messages, { ...options, continueFinalMessage: false }).closing(1)
  } catch (error) {
    if (isTunesmithError(error)) return undefined
    throw error
  }
}
