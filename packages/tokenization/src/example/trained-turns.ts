import { invalidOptions, type Message } from '@tunesmith/core'
import { assistantSpans, messageSpans } from '../chat/assistant-spans'
import { hasGenerationTags } from '../chat/jinja/run'
import type { ParsedChatOptions } from '../chat/options'
import { chooseTemplate } from '../chat/render'
import { maskOf, type RenderedChat } from '../chat/render-chat'
import type { TokenizerState } from '../tokenizer-state'
import type { TurnWeights } from './turn-weights'

/** A conversation and how it is printed. */
export interface Turns {
  tokenizer: TokenizerState
  messages: readonly Message[]
  options: ParsedChatOptions
  /** What the messages say of being learned; undefined when they say nothing. */
  weights: TurnWeights | undefined
}

/**
 * The tokens of the assistant's turns (or of its last one) that are to be learned, and of others' messages that are marked
 * with `train`.
 *
 * @returns `[tokens]`, 1 for those.
 * @throws {TunesmithError} as `assistantSpans`; `invalid_options` for another's message that is to be
 *   learned beside the assistant's last turn.
 */
export function trainedTurns(
  { tokenizer, messages, options, weights }: Turns,
  lossOn: 'assistant' | 'last-assistant',
  chat: RenderedChat,
): number[] {
  if (lossOn === 'last-assistant') {
    const other = weights?.findIndex((weight, i) => weight && messages[i]!.role !== 'assistant') ?? -1
    if (other !== -1)
      throw invalidOptions('This message is marked to be learned, but only the last turn is', {
        where: `messages[${other}]`,
        remedy: 'Use lossOn: "assistant" (of the trainer: assistantOnlyLoss), or take the mark off',
      })
    const last = messages.findLastIndex(({ role }) => role === 'assistant')
    if (weights?.[last] === false) return chat.ids.map(() => 0)
    if (!weights && hasGenerationTags(chooseTemplate(tokenizer, options))) return lastRun(chat.assistantMask)
    const { spans } = assistantSpans(tokenizer, messages, options, (turn) => turn === last)
    return maskOf(chat.offsets, spans)
  }
  if (!weights) return chat.assistantMask
  const { spans } = assistantSpans(tokenizer, messages, options, (turn) => weights[turn] !== false)
  const others = messageSpans(
    tokenizer,
    messages,
    options,
    (i) => weights[i] === true && messages[i]!.role !== 'assistant',
  )
  return maskOf(chat.offsets, inOrder([...spans, ...others]))
}

/** Where the messages stand that are not to be learned; undefined when all are. */
export function maskedTurns({ tokenizer, messages, options, weights }: Turns): [number, number][] | undefined {
  if (!weights?.includes(false)) return undefined
  const left = (i: number) => weights[i] === false
  const { spans } = assistantSpans(tokenizer, messages, options, left)
  const others = messageSpans(tokenizer, messages, options, (i) => left(i) && messages[i]!.role !== 'assistant')
  return inOrder([...spans, ...others])
}

/** The last run of ones, alone. */
function lastRun(mask: readonly number[]): number[] {
  const last = mask.lastIndexOf(1)
  const first = last === -1 ? mask.length : mask.lastIndexOf(0, last) + 1
  return mask.map((one, i) => (i >= first ? one : 0))
}

const inOrder = (spans: [number, number][]) => spans.sort((a, b) => a[0] - b[0])
