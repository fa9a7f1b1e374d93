import { type ExampleRow, isTunesmithError, type Message, parseOptions } from '@tunesmith/core'
import { chatOptions, type ParsedChatOptions } from '../chat/options'
import { chooseTemplate, renderTemplate } from '../chat/render'
import type { ParsedExampleOptions } from '../example/options'
import { chatOptionsOf } from '../example/prompt'
import type { Tokenizer } from '../tokenizer'

/** A row's conversation and how the template prints it. */
export interface Chat {
  tokenizer: Tokenizer
  messages: readonly Message[]
  options: ParsedChatOptions
  /** The whole conversation. */
  text: string
}

/** The conversation of a row; undefined for a row without one, or one that the template refuses. */
export function chatOf(tokenizer: Tokenizer, row: ExampleRow, options: ParsedExampleOptions): Chat | undefined {
  const messages = Array.isArray(row.messages)
    ? row.messages
    : Array.isArray(row.prompt) && Array.isArray(row.completion)
      ? [...row.prompt, ...row.completion]
      : undefined
  if (!messages) return undefined
  const parsed = parseOptions(chatOptions, chatOptionsOf(row, options), 'inspect')
  const chosen = { ...parsed, template: chooseTemplate(tokenizer, parsed) }
  const text = print(tokenizer, messages, chosen)
  return text === undefined ? undefined : { tokenizer, messages, options: chosen, text }
}

function print(tokenizer: Tokenizer, messages: readonly Message[], options: ParsedChatOptions): string | undefined {
  try {
    return renderTemplate(tokenizer, messages, options).text
  } catch (error) {
    if (isTunesmithError(error)) return undefined
    throw error
  }
}

/** Whether rendering more messages changes what was rendered of the earlier ones (some templates drop old reasoning). */
export function rewritesEarlierTurns(chat: Chat | undefined): boolean {
  if (!chat) return false
  const { tokenizer, messages, options, text } = chat
  const eos = tokenizer.eosToken
  return messages.some((message, i) => {
    if (message.role !== 'assistant' || i === messages.length - 1) return false
    const part = print(tokenizer, messages.slice(0, i + 1), options)
    // A template may close the conversation with a token of its own; what must stay is the turn itself.
    const kept = eos !== undefined && part?.endsWith(eos) ? part.slice(0, -eos.length) : part
    return kept !== undefined && !text.startsWith(kept.trimEnd())
  })
}

const REASONING = ['reasoning_content', 'reasoning', 'thinking']

/** Calls of tools, and reasoning, that change nothing of the print: the places of calls, one name for all reasoning. */
export function unprintedFields(chat: Chat | undefined): string[] {
  if (!chat) return []
  const { tokenizer, messages, options, text } = chat
  const without = (fields: readonly string[]) => (message: Message) =>
    Object.fromEntries(Object.entries(message).filter(([name]) => !fields.includes(name))) as Message
  const has = (message: Message, field: string) => {
    const value = message[field]
    return message.role === 'assistant' && (Array.isArray(value) ? value.length > 0 : Boolean(value))
  }
  const unprinted: string[] = []
  for (const [i, message] of messages.entries())
    if (
      has(message, 'tool_calls') &&
      print(tokenizer, messages.with(i, without(['tool_calls'])(message)), options) === text
    )
      unprinted.push(`messages[${i}].tool_calls`)
  for (const field of REASONING)
    if (
      messages.some((message) => has(message, field)) &&
      print(tokenizer, messages.map(without([field])), options) === text
    )
      unprinted.push(`"${field}" of any message`)
  return unprinted
}

/** The ids that end a turn under the row's template. */
export function endIds(chat: Chat | undefined): number[] {
  return chat ? endOfTurn(chat).ids : []
}

function endOfTurn({ tokenizer, options: { template, variables } }: Chat) {
  return tokenizer.endOfTurn({ ...(template && { template }), ...(Object.keys(variables).length > 0 && { variables }) })
}

/** What ends a turn of the assistant, in a sentence, for a row that is a conversation. */
export function endOfTurnNote(
  tokenizer: Tokenizer,
  row: ExampleRow,
  options: ParsedExampleOptions,
): string | undefined {
  const chat = chatOf(tokenizer, row, options)
  if (!chat) return undefined
  const { tokens } = endOfTurn(chat)
  const named = tokens.map((token) => {
    const id = tokenizer.tokenToId(token)
    return id === undefined ? `${token} (not in the vocabulary)` : `${token} (${id})`
  })
  if (named.length === 0) return 'No token ends a turn under this chat template'
  return `A turn ends with ${named.join(' or ')}, and so does generation`
}
