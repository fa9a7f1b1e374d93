import type { ExampleRow, Message } from '../formats/convert'

/** The text of a message; of a list of content parts, the texts among them. */
export function textOfMessage({ content }: Message): string {
  if (typeof content === 'string') return content
  if (!Array.isArray(content)) return ''
  return content.map((part: { text?: unknown }) => (typeof part?.text === 'string' ? part.text : '')).join('')
}

const textOf = (value: string | Message[]) => (typeof value === 'string' ? value : value.map(textOfMessage).join('\n'))

/** An example as plain texts: what the model reads (`prompt`), what it learns to write (`completion`), or `text`. */
export function partsOfExample(row: ExampleRow): Record<string, string> {
  if ('messages' in row) {
    const messages = row.messages as Message[]
    return {
      prompt: textOf(messages.filter(({ role }) => role !== 'assistant')),
      completion: textOf(messages.filter(({ role }) => role === 'assistant')),
    }
  }
  if ('prompt' in row)
    return {
      prompt: textOf(row.prompt as string | Message[]),
      completion: textOf(row.completion as string | Message[]),
    }
  return { text: row.text as string }
}
