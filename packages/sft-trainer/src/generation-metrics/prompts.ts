import type { Dataset, ExampleRow, Message } from '@tunesmith/datasets'
import type { ChatOptions, Tokenizer } from '@tunesmith/tokenization'

/** What the model is asked, and what the row says it should answer. */
export interface EvalPrompt {
  ids: readonly number[]
  /** The prompt as the model sees it. */
  prompt: string
  reference: string
  index: number
  /** The row of the dataset it comes from, as it was. */
  row: Record<string, unknown>
}

/** The text of a message whose content is text, or a list of parts with text in them. */
function contentText(content: unknown): string {
  if (typeof content === 'string') return content
  if (!Array.isArray(content)) return ''
  return content.map((part) => (typeof part?.text === 'string' ? part.text : '')).join('')
}

/** A prompt and the completion to it; of a conversation, its last turn when the assistant has it. */
function promptAndCompletion(
  row: ExampleRow,
): [prompt: string | Message[], completion: string | Message[]] | undefined {
  const { prompt, completion, messages } = row as {
    prompt?: string | Message[]
    completion?: string | Message[]
    messages?: Message[]
  }
  if (prompt !== undefined && completion !== undefined) return [prompt, completion]
  if (messages && messages.length > 1 && messages.at(-1)!.role === 'assistant')
    return [messages.slice(0, -1), messages.slice(-1)]
  return undefined
}

function promptIds(tokenizer: Tokenizer, prompt: string | Message[], row: ExampleRow): readonly number[] {
  if (typeof prompt === 'string')
    return [...tokenizer.framing.before, ...tokenizer.encode(prompt, { addSpecialTokens: false }).ids]
  // The columns the chat template may see beside the messages, as for training.
  const { tools, documents, chat_template_kwargs: variables } = row as Record<string, unknown>
  return tokenizer.renderChat(prompt as Message[], {
    addGenerationPrompt: true,
    tools: (typeof tools === 'string' ? JSON.parse(tools) : tools) as ChatOptions['tools'],
    documents: documents as ChatOptions['documents'],
    ...(variables ? { variables: variables as Record<string, unknown> } : {}),
  }).ids
}

/**
 * The prompts of up to `count` rows, the first in `order` that have one; in the rows' own order.
 *
 * Rows with nothing to ask (plain text, a conversation the user ended) and prompts over `maxLength` tokens are passed over.
 */
export function evalPrompts(options: {
  formatted: Dataset<ExampleRow>
  rows: Dataset
  tokenizer: Tokenizer
  order: readonly number[]
  count: number
  maxLength: number
}): EvalPrompt[] {
  const { formatted, rows, tokenizer, order, count, maxLength } = options
  const prompts: EvalPrompt[] = []
  for (const index of order) {
    if (prompts.length === count) break
    const example = formatted.at(index)
    const parts = promptAndCompletion(example)
    if (!parts) continue
    const [asked, answered] = parts
    const ids = promptIds(tokenizer, asked, example)
    if (ids.length === 0 || ids.length > maxLength) continue
    const reference =
      typeof answered === 'string' ? answered : answered.map(({ content }) => contentText(content)).join('\n')
    prompts.push({ index, ids, prompt: tokenizer.decode([...ids]), reference, row: rows.at(index) })
  }
  return prompts.sort((a, b) => a.index - b.index)
}
