import {
  copyJsonSource,
  type ExampleRow,
  invalidData,
  type Message,
  parseExactJson,
  parseOptions,
  partText,
} from '@tunesmith/core'
import { fitContent } from '../chat/content-parts'
import { type ChatOptions, chatOptions } from '../chat/options'
import type { Tokenizer } from '../tokenizer'
import type { ExampleOptions } from './options'

type PromptOptions = Pick<ExampleOptions, 'template' | 'variables'>

/** What a model is asked, and what it should answer. */
export interface Prompt {
  /** `[tokens]`: exactly the beginning of the training example of the same row. */
  ids: number[]
  /** The row's own answer as text. */
  reference: string
}

/** A row's prompt and the completion to it; of a conversation, its last turn when the assistant has it. */
export function promptAndCompletion({
  prompt,
  completion,
  messages,
}: ExampleRow): { prompt: string | Message[]; completion: string | Message[] } | undefined {
  if (prompt !== undefined && completion !== undefined) return { prompt, completion }
  if (messages && messages.length > 1 && messages.at(-1)!.role === 'assistant')
    return { prompt: messages.slice(0, -1), completion: messages.slice(-1) }
  return undefined
}

/**
 * A row's prompt and its own answer.
 *
 * @returns undefined for a row with nothing to ask: plain text, or a conversation that the assistant does not end.
 * @throws {TunesmithError} `invalid_data` for a conversation or columns that the chat template cannot print.
 */
export function buildPrompt(tokenizer: Tokenizer, row: ExampleRow, options: PromptOptions = {}): Prompt | undefined {
  const parts = promptAndCompletion(row)
  return parts && { ids: promptIds(tokenizer, parts.prompt, row, options), reference: partText(parts.completion) }
}

/**
 * The ids of a prompt as training sees them: a text with the special tokens before it and none after; a conversation through
 * the chat template up to where the assistant begins.
 *
 * @param columns what the template sees besides: a row's `tools`, `documents` and `chat_template_kwargs`.
 * @returns `[tokens]`
 */
export function promptIds(
  tokenizer: Tokenizer,
  prompt: string | readonly Message[],
  columns: ExampleRow = {},
  options: PromptOptions = {},
): number[] {
  if (typeof prompt === 'string') return textPromptIds(tokenizer, prompt)
  return renderPrompt(tokenizer, prompt, chatOptionsOf(columns, options)).ids
}

/** The special tokens after a text (none, for most models) belong after the completion, not after the prompt. */
export function textPromptIds(tokenizer: Tokenizer, prompt: string): number[] {
  return [...tokenizer.framing.before, ...tokenizer.encode(prompt, { addSpecialTokens: false }).ids]
}

/** A conversation up to where the assistant begins to write. */
export function renderPrompt(tokenizer: Tokenizer, prompt: readonly Message[], options: ChatOptions) {
  const asking = parseOptions(chatOptions, { ...options, addGenerationPrompt: true }, 'renderPrompt')
  return tokenizer.renderChat(fitContent(tokenizer, prompt, asking), asking)
}

/** How a row's messages are printed: with what the chat template sees besides them, and closed. */
export function chatOptionsOf(row: ExampleRow, { template, variables }: PromptOptions): ChatOptions {
  let { tools } = row
  if (typeof tools === 'string')
    try {
      tools = parseExactJson(tools) as Record<string, unknown>[]
    } catch (error) {
      throw invalidData(`Not valid JSON: ${(error as Error).message}`, { where: 'tools' })
    }
  return {
    tools: tools as Record<string, unknown>[] | null | undefined,
    documents: row.documents,
    closeLastTurn: true,
    ...(template === undefined ? {} : { template }),
    variables: variablesOf(variables, row.chat_template_kwargs),
  }
}

/** The variables of the options and, over them, those of the row, with the text of their numbers. */
function variablesOf(common: PromptOptions['variables'], own: ExampleRow['chat_template_kwargs']) {
  const variables = { ...common, ...own }
  for (const part of [common, own]) if (part) copyJsonSource(part, variables)
  return variables
}
