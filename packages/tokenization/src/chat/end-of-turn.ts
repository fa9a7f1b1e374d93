import { isTunesmithError, type Message } from '@tunesmith/core'
import type { TokenizerState } from '../tokenizer-state'
import { TurnFinder } from './derived-spans'
import { endTags } from './end-tokens'
import type { ParsedChatOptions } from './options'
import { chooseTemplate } from './render'

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
 * that are named as ends. Empty when it has none, or prints no conversation of a question and an answer.
 */
export function endOfTurnTexts(tokenizer: TokenizerState, options: ParsedChatOptions): string[] {
  const template = chooseTemplate(tokenizer, options)
  const special = tokenizer.json.added_tokens.filter((token) => token.special).map((token) => token.content)
  const { eos_token: eos } = tokenizer.specialTokens.roles
  const closings = SAMPLES.map((samples) => {
    for (const messages of samples) {
      const closing = closingOf(tokenizer, messages, { ...options, template, addGenerationPrompt: false })
      if (closing !== undefined) return closing
    }
    return ''
  })
  return [...new Set(closings.flatMap((closing) => endTags(closing, [...special, ...(eos ? [eos] : [])])))]
}

function closingOf(tokenizer: TokenizerState, messages: readonly Message[], options: ParsedChatOptions) {
  try {
    return new TurnFinder(tokenizer, messages, { ...options, continueFinalMessage: false }).closing(1)
  } catch (error) {
    if (isTunesmithError(error)) return undefined
    throw error
  }
}
