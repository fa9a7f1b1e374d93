import { parseOptions, TunesmithError } from '@tunesmith/core'
import { z } from 'zod'
import { type ChatOptions, chatOptions } from '../chat/options'
import type { ChatMessage } from '../chat/render'
import type { Tokenizer } from '../tokenizer'

/** The label of a token the loss does not see. */
export const IGNORE_INDEX = -100

export const exampleOptions = z.strictObject({
  /**
   * Which tokens the loss sees. `completion`: those after the prompt (everything, for a row without a prompt).
   * `assistant`: what the assistant wrote, in every turn. `last-assistant`: its last turn only. `all`: every token.
   * Default: `completion` for rows with a prompt, `all` for the others, as in TRL.
   */
  lossOn: z.enum(['completion', 'assistant', 'last-assistant', 'all']).optional(),
  /** Append the EOS token to plain text that does not end with it. Default true. Chats end as their template says. */
  appendEos: z.boolean().default(true),
  /** Cut to this many tokens. Default: no limit. */
  maxLength: z.int().positive().optional(),
  /** What a cut keeps. Default `keepStart`. */
  truncationMode: z.enum(['keepStart', 'keepEnd']).default('keepStart'),
  /** A chat template, or the name of one. Default: the tokenizer's. */
  template: chatOptions.shape.template,
  /** Further variables for the chat template. */
  variables: chatOptions.shape.variables,
})
export type ExampleOptions = z.input<typeof exampleOptions>

/** A row to train on: a prompt and its completion, a conversation, or plain text. */
export interface ExampleRow {
  prompt?: string | ChatMessage[]
  completion?: string | ChatMessage[]
  messages?: ChatMessage[]
  text?: string
  tools?: Record<string, unknown>[] | string | null
  documents?: Record<string, unknown>[] | null
  chat_template_kwargs?: Record<string, unknown>
  [column: string]: unknown
}

/** One tokenized row. */
export interface Example {
  /** `[tokens]` */
  inputIds: number[]
  /** `[tokens]`: the id to predict at this place, or -100 where the loss does not look. */
  labels: number[]
  /** The text the ids stand for, before any cut. */
  text: string
  /** Tokens cut off by `maxLength`. */
  truncated: number
  /** Tokens before the completion, or 0. */
  promptLength: number
  /** True when a token reaches over the end of the prompt, or the template wrote the prompt differently. */
  promptMismatch: boolean
}

interface Built {
  ids: number[]
  text: string
  /** Tokens the policy lets the loss see. */
  trained: (i: number) => boolean
  promptLength: number
  promptMismatch: boolean
}

/**
 * Tokenizes one row and decides which tokens the loss sees, as TRL's SFTTrainer does.
 *
 * @throws {TunesmithError} `invalid_data` when the row has none of the known columns, or no trained token where the
 *   policy promises some.
 */
export function buildExample(tokenizer: Tokenizer, row: ExampleRow, input: ExampleOptions = {}): Example {
  const options = parseOptions(exampleOptions, input, 'buildExample')
  const built = build(tokenizer, row, options)
  const labels = built.ids.map((id, i) => (built.trained(i) ? id : IGNORE_INDEX))
  const { maxLength = built.ids.length } = options
  const cut = Math.max(0, built.ids.length - maxLength)
  const from = options.truncationMode === 'keepEnd' ? cut : 0
  return {
    inputIds: built.ids.slice(from, from + built.ids.length - cut),
    labels: labels.slice(from, from + built.ids.length - cut),
    text: built.text,
    truncated: cut,
    promptLength: built.promptLength,
    promptMismatch: built.promptMismatch,
  }
}

type Options = z.output<typeof exampleOptions>

function build(tokenizer: Tokenizer, row: ExampleRow, options: Options): Built {
  if (row.prompt !== undefined) {
    if (typeof row.prompt === 'string') return plainPrompt(tokenizer, row.prompt, row.completion, options)
    return chatPrompt(tokenizer, row, row.prompt, options)
  }
  if (Array.isArray(row.messages)) return chat(tokenizer, row, row.messages, options)
  if (typeof row.text === 'string') return plainText(tokenizer, row.text, options)
  throw new TunesmithError('A row needs "prompt" and "completion", or "messages", or "text"', {
    code: 'invalid_data',
    where: `columns ${Object.keys(row).join(', ')}`,
    remedy: 'Rename the columns, or map the rows first',
  })
}

function withEos(tokenizer: Tokenizer, text: string, append: boolean): string {
  const eos = tokenizer.eosToken
  return append && eos !== undefined && !text.endsWith(eos) ? text + eos : text
}

function plainText(tokenizer: Tokenizer, raw: string, options: Options): Built {
  needChat(options)
  const text = withEos(tokenizer, raw, options.appendEos)
  return { ids: tokenizer.encode(text).ids, text, trained: () => true, promptLength: 0, promptMismatch: false }
}

function plainPrompt(tokenizer: Tokenizer, prompt: string, completion: unknown, options: Options): Built {
  if (typeof completion !== 'string')
    throw new TunesmithError('A row with a text "prompt" needs a text "completion"', {
      code: 'invalid_data',
      where: 'completion',
    })
  needChat(options)
  const text = prompt + withEos(tokenizer, completion, options.appendEos)
  const ids = tokenizer.encode(text).ids
  return afterPrompt(tokenizer.encode(prompt).ids, ids, text, options, undefined)
}

function needChat({ lossOn }: Options): void {
  if (lossOn === 'assistant' || lossOn === 'last-assistant')
    throw new TunesmithError(`lossOn: '${lossOn}' needs messages; this row is plain text`, {
      code: 'invalid_options',
      where: 'lossOn',
      remedy: "Use 'completion' or 'all', or write the rows as messages",
    })
}

function chatOptionsOf(row: ExampleRow, options: Options): ChatOptions {
  const tools = typeof row.tools === 'string' ? JSON.parse(row.tools) : row.tools
  return {
    tools,
    documents: row.documents,
    template: options.template,
    variables: { ...options.variables, ...row.chat_template_kwargs },
  }
}

function chatPrompt(tokenizer: Tokenizer, row: ExampleRow, prompt: ChatMessage[], options: Options): Built {
  if (!Array.isArray(row.completion))
    throw new TunesmithError('A row with a "prompt" of messages needs a "completion" of messages', {
      code: 'invalid_data',
      where: 'completion',
    })
  const chatting = chatOptionsOf(row, options)
  const promptIds = tokenizer.renderChat(prompt, { ...chatting, addGenerationPrompt: true }).ids
  const { ids, text, assistantMask } = tokenizer.renderChat([...prompt, ...row.completion], chatting)
  return afterPrompt(promptIds, ids, text, options, assistantMask)
}

function afterPrompt(
  promptIds: number[],
  ids: number[],
  text: string,
  options: Options,
  mask: number[] | undefined,
): Built {
  const { lossOn = 'completion' } = options
  const promptMismatch = promptIds.some((id, i) => id !== ids[i])
  const promptLength = promptIds.length
  const bits = mask && lossOn === 'last-assistant' ? lastRun(mask) : mask
  const trained =
    lossOn === 'all'
      ? () => true
      : lossOn === 'completion'
        ? (i: number) => i >= promptLength
        : (i: number) => bits?.[i] === 1
  return { ids, text, trained, promptLength, promptMismatch }
}

function chat(tokenizer: Tokenizer, row: ExampleRow, messages: ChatMessage[], options: Options): Built {
  const { ids, text, assistantMask } = tokenizer.renderChat(messages, chatOptionsOf(row, options))
  const { lossOn = 'all' } = options
  const mask = lossOn === 'last-assistant' ? lastRun(assistantMask) : assistantMask
  const policy = lossOn === 'assistant' || lossOn === 'last-assistant'
  if (policy && !mask.includes(1))
    throw new TunesmithError('The conversation has no token the assistant wrote', {
      code: 'invalid_data',
      where: 'messages',
    })
  return { ids, text, trained: policy ? (i) => mask[i] === 1 : () => true, promptLength: 0, promptMismatch: false }
}

function lastRun(mask: number[]): number[] {
  const end = mask.lastIndexOf(1)
  let start = end
  while (start > 0 && mask[start - 1] === 1) start--
  return mask.map((_, i) => (i >= start && i <= end && end !== -1 ? 1 : 0))
}
