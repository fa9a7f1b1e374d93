import type { Message } from '@tunesmith/core'
import type { TokenizerState } from '../tokenizer-state'
import { TurnFinder } from './derived-spans'
import { hasGenerationTags } from './jinja/run'
import type { ParsedChatOptions } from './options'
import { chooseTemplate, renderTemplate } from './render'

/** What the assistant wrote in a rendered conversation. */
export interface AssistantSpans {
  text: string
  /** `[start, end)` in UTF-16 units of `text`, in order. */
  spans: [number, number][]
  /** Whether the template says so itself (`{% generation %}`), or it was worked out from how messages are printed. */
  source: 'generation tags' | 'derived'
}

/**
 * Renders a conversation and finds what the assistant wrote: all that it says in a turn (reasoning, text, calls) and the
 * tokens that end the turn; see {@link TurnFinder} for templates without generation tags.
 *
 * @param wanted whether a turn is asked for, by its place in `messages`; all of them when it is left out.
 * @throws {TunesmithError} `incompatible` when that cannot be told for a turn that is asked for.
 */
export function assistantSpans(
  tokenizer: TokenizerState,
  messages: readonly Message[],
  options: ParsedChatOptions,
  wanted?: (turn: number) => boolean,
): AssistantSpans {
  const template = chooseTemplate(tokenizer, options)
  const chosen = { ...options, template }
  const tagged = hasGenerationTags(template)
  if (tagged && !wanted) return { ...renderTemplate(tokenizer, messages, chosen, true), source: 'generation tags' }
  const finder = new TurnFinder(tokenizer, messages, chosen)
  const turns = finder.turns(tagged ? undefined : wanted)
  const derived = turns.filter(({ span: [start, end] }) => end > start)
  if (!tagged) return { text: finder.text, spans: derived.map(({ span }) => span), source: 'derived' }
  // The tags do not say which message they stand for: it is the last one that begins before they end.
  const { text, spans } = renderTemplate(tokenizer, messages, chosen, true)
  const turnOf = ([, end]: [number, number]) => derived.findLast(({ span }) => span[0] < end)?.turn
  return { text, spans: spans.filter((span) => wanted!(turnOf(span) ?? -1)), source: 'generation tags' }
}

/**
 * Where the texts of some messages of whatever role stand in a rendered conversation, with the end tokens after them; those
 * that are not printed are left out.
 */
export function messageSpans(
  tokenizer: TokenizerState,
  messages: readonly Message[],
  options: ParsedChatOptions,
  wanted: (turn: number) => boolean,
): [number, number][] {
  const finder = new TurnFinder(tokenizer, messages, { ...options, template: chooseTemplate(tokenizer, options) })
  return messages.flatMap((_, i) => {
    const span = wanted(i) ? finder.message(i) : undefined
    return span ? [span] : []
  })
}
