import { type ExampleRow, isTunesmithError, type Message, parseOptions } from '@tunesmith/core'
import { fitContent } from '../chat/content-parts'
import { chatOptions, type ParsedChatOptions } from '../chat/options'
import { chooseTemplate, renderTemplate } from '../chat/render'
import type { ParsedExampleOptions } from '../example/options'
import { chatOptionsOf } from '../example/prompt'
import { WEIGHT_FIELDS } from '../example/turn-weights'
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
  const given = Array.isArray(row.messages)
    ? row.messages
    : Array.isArray(row.prompt) && Array.isArray(row.completion)
      ? [...row.prompt, ...row.completion]
      : undefined
  if (!given) return undefined
  const parsed = parseOptions(chatOptions, chatOptionsOf(row, options), 'inspect')
  const chosen = { ...parsed, template: chooseTemplate(tokenizer, parsed) }
  const messages = fitContent(tokenizer, given, chosen)
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

/** Fields of messages that are looked at elsewhere, or only tie messages together. */
const KNOWN = new Set(['role', 'content', 'tool_calls', 'tool_call_id', 'id', ...WEIGHT_FIELDS])

/**
 * What changes nothing of the print: columns beside the messages, calls of tools by their places, and other fields such as
 * reasoning, under one name for all messages.
 */
export function unprintedFields(chat: Chat | undefined): string[] {
  if (!chat) return []
  const { tokenizer, messages, options, text } = chat
  const without = (fields: readonly string[]) => (message: Message) =>
    Object.fromEntries(Object.entries(message).filter(([name]) => !fields.includes(name))) as Message
  const has = (message: Message, field: string) => {
    const value = message[field]
    return Array.isArray(value) ? value.length > 0 : value !== undefined && value !== null && value !== ''
  }
  const columns = ['tools', 'documents'] as const
  const unprinted: string[] = columns.filter(
    (column) => options[column]?.length && print(tokenizer, messages, { ...options, [column]: null }) === text,
  )
  for (const [i, message] of messages.entries())
    if (
      message.role === 'assistant' &&
      has(message, 'tool_calls') &&
      print(tokenizer, messages.with(i, without(['tool_calls'])(message)), options) === text
    )
      unprinted.push(`messages[${i}].tool_calls`)
  const fields = new Set(messages.flatMap((message) => Object.keys(message)))
  for (const field of fields)
    if (
      !KNOWN.has(field) &&
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
