import { type Message, TunesmithError } from '@tunesmith/core'
import type { TokenizerState } from '../tokenizer-state'
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

const OPEN = '\ue0f2\ue002\ue0f3'
const CLOSE = '\ue0f2\ue003\ue0f3'

/**
 * Renders a conversation and finds what the assistant wrote: its text and the token that ends its turn.
 *
 * Without generation tags, each assistant message is rendered once more with marks around its text. A turn begins where
 * the generation prompt ends, exactly where the model starts to write, and ends after the end-of-turn token.
 *
 * @throws {TunesmithError} `incompatible` when the template changes or repeats a message so that this cannot be told.
 */
export function assistantSpans(
  tokenizer: TokenizerState,
  messages: readonly Message[],
  options: ParsedChatOptions,
): AssistantSpans {
  const template = chooseTemplate(tokenizer, options)
  const chosen = { ...options, template }
  if (hasGenerationTags(template))
    return { ...renderTemplate(tokenizer, messages, chosen, true), source: 'generation tags' }
  const { text } = renderTemplate(tokenizer, messages, chosen)
  const spans: [number, number][] = []
  for (const [i, message] of messages.entries()) {
    if (message.role !== 'assistant') continue
    const span = spanOf(tokenizer, messages, i, chosen, text)
    if (span[1] > span[0]) spans.push(span)
  }
  return { text, spans, source: 'derived' }
}

function spanOf(
  tokenizer: TokenizerState,
  messages: readonly Message[],
  i: number,
  options: ParsedChatOptions,
  text: string,
): [number, number] {
  const last = i === messages.length - 1
  const place = placeOf(tokenizer, messages, i, options, text)
  const before = prefixLength(tokenizer, messages.slice(0, i), { ...options, addGenerationPrompt: true }, text)
  const start = before ?? place?.start
  // With tool calls the message's text is not all the assistant wrote, so the end is where the message's print ends.
  const called = Array.isArray(messages[i]!.tool_calls)
  const silent = typeof messages[i]!.content === 'string' && (messages[i]!.content as string).trim() === ''
  if (silent && !called && start !== undefined) {
    const end = endOfTurn(tokenizer, text, start)
    if (end > start) return [start, end]
  }
  const whole = place === undefined || called
  const after =
    last && !options.addGenerationPrompt
      ? text.length
      : prefixLength(tokenizer, messages.slice(0, i + 1), { ...options, addGenerationPrompt: false }, text)
  const end = whole
    ? after === undefined
      ? undefined
      : withoutTrailingSpace(tokenizer, text, start ?? 0, after)
    : endOfTurn(tokenizer, text, place.end)
  if (start === undefined || end === undefined)
    throw new TunesmithError('It cannot be told which tokens the assistant wrote: the template rewrites this message', {
      code: 'incompatible',
      where: `messages[${i}]`,
      remedy: 'Use a template with {% generation %} tags, or one of ours, or train on prompt and completion',
    })
  return [Math.min(start, end), end]
}

/** How far `text` is what these messages render to on their own, or undefined when it is not. */
function prefixLength(
  tokenizer: TokenizerState,
  messages: readonly Message[],
  options: ParsedChatOptions,
  text: string,
): number | undefined {
  const prefix = messages.length === 0 ? undefined : renderIfPossible(tokenizer, messages, options)
  return prefix !== undefined && text.startsWith(prefix) ? prefix.length : undefined
}

/** Some templates refuse to stop after these messages, for example after two of the user: undefined. */
function renderIfPossible(tokenizer: TokenizerState, messages: readonly Message[], options: ParsedChatOptions) {
  try {
    return renderTemplate(tokenizer, messages, options).text
  } catch (error) {
    if (error instanceof TunesmithError && error.code === 'invalid_data') return undefined
    throw error
  }
}

/** Where the text of message `i` lies in the rendered conversation, found by rendering it between marks. */
function placeOf(
  tokenizer: TokenizerState,
  messages: readonly Message[],
  i: number,
  options: ParsedChatOptions,
  text: string,
): { start: number | undefined; end: number } | undefined {
  const marked = withMarks(messages[i]!)
  if (!marked) return undefined
  const rendered = renderIfPossible(tokenizer, messages.with(i, marked), options)
  if (rendered?.replaceAll(OPEN, '').replaceAll(CLOSE, '') !== text) return undefined
  const [opens, closes] = [rendered.split(OPEN).length - 1, rendered.split(CLOSE).length - 1]
  if (closes !== 1 || opens > 1) return undefined
  const start = rendered.indexOf(OPEN)
  const end = rendered.indexOf(CLOSE) - (start === -1 ? 0 : OPEN.length)
  return { start: start === -1 ? undefined : start, end }
}

/** The message with marks around its text, inside any outer space: what a template trims stays outside of them. */
function withMarks(message: Message): Message | undefined {
  const mark = (text: string) => {
    const core = text.trim()
    if (core === '') return undefined
    const at = text.indexOf(core)
    return text.slice(0, at) + OPEN + core + CLOSE + text.slice(at + core.length)
  }
  if (typeof message.content === 'string') {
    const content = mark(message.content)
    return content === undefined ? undefined : { ...message, content }
  }
  if (!Array.isArray(message.content)) return undefined
  const blocks = message.content.map((block) => ({ ...block }))
  const texts = blocks.filter((block) => typeof block.text === 'string' && block.text.trim() !== '')
  if (texts.length !== 1) return undefined
  texts[0].text = mark(texts[0].text)
  return { ...message, content: blocks }
}

/** All texts that can end a turn: the special tokens. */
function enders(tokenizer: TokenizerState): string[] {
  const special = tokenizer.json.added_tokens.filter((token) => token.special).map((token) => token.content)
  if (tokenizer.specialTokens.roles.eos_token !== undefined) special.push(tokenizer.specialTokens.roles.eos_token)
  // Templates for chat tokens the vocabulary lacks still end their turns with them.
  return [...special, ...COMMON_ENDERS].sort((a, b) => b.length - a.length)
}
const COMMON_ENDERS = [
  '<|im_end|>',
  '<|end_of_turn|>',
  '<|eot_id|>',
  '<end_of_turn>',
  '<|end|>',
  '</s>',
  '<|endoftext|>',
]

/** The end of the turn whose text ends at `at`: after the end-of-turn token that follows, space in between included. */
function endOfTurn(tokenizer: TokenizerState, text: string, at: number): number {
  let next = at
  while (next < text.length && /\s/.test(text[next]!)) next++
  const ender = enders(tokenizer).find((token) => text.startsWith(token, next))
  return ender === undefined ? at : next + ender.length
}

/** Takes the space after the end-of-turn token off: templates print it, the model never does. */
function withoutTrailingSpace(tokenizer: TokenizerState, text: string, start: number, end: number): number {
  const trimmed = text.slice(start, end).trimEnd()
  return enders(tokenizer).some((token) => trimmed.endsWith(token)) ? start + trimmed.length : end
}
