import { invalidData, parseOptions } from '@tunesmith/core'
import type { ChatOptions, Message, Tokenizer } from '@tunesmith/tokenization'
import { z } from 'zod'

const fitSchema = z.strictObject({
  /** Tokens the prompt may take: the model's context without the longest answer. */
  maxTokens: z.number().int().positive(),
  /** For the chat template, beside `addGenerationPrompt`, which is set. */
  chat: z.custom<Omit<ChatOptions, 'addGenerationPrompt'>>((value) => typeof value === 'object').optional(),
})
export type FitChatOptions = z.input<typeof fitSchema>

export interface FittedChat {
  /** The prompt, ending where the assistant's answer begins. */
  ids: number[]
  /** What is left of the messages. */
  messages: Message[]
  /** Messages left out. */
  dropped: number
}

/**
 * A chat as a prompt that fits: the oldest turns go, whole ones, until the rest has room. A turn is what a user said and
 * everything up to the next user message, so that no answer stands without its question. What comes before the first user message (the
 * system message) stays, and the last turn stays.
 *
 * @throws {TunesmithError} `invalid_data` when the last turn alone is too long, `unsupported` when the tokenizer has no chat template.
 */
export function fitChat(tokenizer: Tokenizer, messages: readonly Message[], options: FitChatOptions): FittedChat {
  const { maxTokens, chat } = parseOptions(fitSchema, options, 'fitChat')
  const turns = messages.flatMap(({ role }, i) => (role === 'user' ? [i] : []))
  const head = messages.slice(0, turns[0] ?? messages.length)
  const kept = (turn: number) => (turns.length === 0 ? [...messages] : [...head, ...messages.slice(turns[turn]!)])
  const encode = (some: Message[]) => [
    ...tokenizer.encode(tokenizer.applyChatTemplate(some, { ...chat, addGenerationPrompt: true }), {
      addSpecialTokens: false,
    }).ids,
  ]
  let length = 0
  for (let turn = 0; turn < Math.max(1, turns.length); turn++) {
    const some = kept(turn)
    const ids = encode(some)
    if (ids.length <= maxTokens) return { ids, messages: some, dropped: messages.length - some.length }
    length = ids.length
  }
  throw invalidData(`The last message takes ${length} tokens, and there is room for ${maxTokens}`, {
    remedy: 'Ask something shorter, or leave more of the context to the prompt with a smaller maxNewTokens',
  })
}
