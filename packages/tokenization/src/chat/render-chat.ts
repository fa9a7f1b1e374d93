import type { Tokenizer } from '../tokenizer'
import type { ParsedChatOptions } from './options'
import { type ChatMessage, renderTemplate } from './render'

/** A conversation as text, as ids, and which ids the assistant wrote. */
export interface RenderedChat {
  text: string
  ids: number[]
  /** `[tokens]`, 1 where the assistant wrote the token. */
  assistantMask: number[]
}

/** Renders and encodes a conversation; see `Tokenizer.renderChat`. */
export function renderChat(
  tokenizer: Tokenizer,
  messages: readonly ChatMessage[],
  options: ParsedChatOptions,
): RenderedChat {
  const { text, spans } = renderTemplate(tokenizer, messages, options, true)
  const { ids, offsets } = tokenizer.encode(text, { addSpecialTokens: false })
  return { text, ids, assistantMask: maskOf(offsets, spans) }
}

/** 1 for every token that holds at least one unit of a span; spans are in order. */
export function maskOf(offsets: readonly [number, number][], spans: readonly [number, number][]): number[] {
  const mask = new Array<number>(offsets.length).fill(0)
  let at = 0
  for (const [i, [start, end]] of offsets.entries()) {
    while (at < spans.length && spans[at]![1] <= start) at++
    if (at < spans.length && spans[at]![0] < end && start < end) mask[i] = 1
  }
  return mask
}
