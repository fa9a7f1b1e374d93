import type { Message } from '@tunesmith/core'
import type { TokenizerState } from '../tokenizer-state'
import { assistantSpans } from './assistant-spans'
import type { ParsedChatOptions } from './options'
import { renderTemplate } from './render'

/** A conversation as text, as ids, and which ids the assistant wrote. */
export interface RenderedChat {
  text: string
  ids: number[]
  /**
   * `[tokens]`, 1 where the assistant wrote the token. From the template's `{% generation %}` tags; for a template without
   * them, worked out from where each message is printed.
   */
  readonly assistantMask: number[]
  /** For each id the `[start, end)` of UTF-16 units of `text`. */
  readonly offsets: [number, number][]
}

interface Encoder {
  encode(text: string, options: { addSpecialTokens: boolean }): { ids: number[]; readonly spans: [number, number][] }
}

/** Renders and encodes a conversation; see `Tokenizer.renderChat`. The mask is worked out when it is asked for. */
export function renderChat(
  tokenizer: TokenizerState & Encoder,
  messages: readonly Message[],
  options: ParsedChatOptions,
): RenderedChat {
  const { text } = renderTemplate(tokenizer, messages, options)
  const encoding = tokenizer.encode(text, { addSpecialTokens: false })
  let mask: number[] | undefined
  return {
    text,
    ids: encoding.ids,
    get offsets() {
      return encoding.spans
    },
    get assistantMask() {
      mask ??= maskOf(encoding.spans, assistantSpans(tokenizer, messages, options).spans)
      return mask
    },
  }
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
