/** The label of a token that the loss ignores. */
export const IGNORE_INDEX = -100

/**
 * One message of a conversation. Other fields (`tool_calls`, `name`, ...) are handed on to the chat template; `weight`,
 * `train`, `training`, `loss_mask` and `loss` say whether the message is learned.
 */
export interface Message {
  /** `system`, `user`, `assistant`, `tool`, or what the chat template knows besides. */
  role: string
  /** Text, or a list of content parts of which those with a `text` are text; null beside `tool_calls`. */
  content?: unknown
  [field: string]: unknown
}

/**
 * A row to train on, in one of three shapes: `{ prompt, completion }`, both text or both messages; `{ messages }`; or
 * `{ text }`. Columns that are not listed here are kept beside the example and are not trained on.
 */
export interface ExampleRow {
  prompt?: string | Message[]
  completion?: string | Message[]
  messages?: Message[]
  text?: string
  /** JSON schemas of the functions the model may call: a list, or a JSON text of one. */
  tools?: Record<string, unknown>[] | string | null
  /** Documents for the chat template, usually `{ title, text }`. */
  documents?: Record<string, unknown>[] | null
  /** Further variables for the chat template, under TRL's name for the column. */
  chat_template_kwargs?: Record<string, unknown> | null
  [column: string]: unknown
}

/** The columns of an {@link ExampleRow} that say what is trained on. */
export const EXAMPLE_COLUMNS = [
  'prompt',
  'completion',
  'messages',
  'text',
  'tools',
  'documents',
  'chat_template_kwargs',
] as const

/** The text of a message; of a list of content parts, the texts among them end to end. */
export function messageText({ content }: Message): string {
  if (typeof content === 'string') return content
  if (!Array.isArray(content)) return ''
  return content.map((part) => (typeof part?.text === 'string' ? part.text : '')).join('')
}

/** A prompt, completion or conversation as text: the texts of its messages, a line each. */
export function partText(part: string | readonly Message[]): string {
  return typeof part === 'string' ? part : part.map(messageText).join('\n')
}

/** Token ids or labels; `Int32Array` is the compact choice for whole data sets. */
export type TokenList = number[] | Int32Array

/** A tokenized row. */
export interface TokenizedExample {
  /** `[tokens]` */
  inputIds: TokenList
  /** `[tokens]`, aligned with `inputIds` (not shifted): the id itself, or {@link IGNORE_INDEX} where nothing is learned. */
  labels: TokenList
}
