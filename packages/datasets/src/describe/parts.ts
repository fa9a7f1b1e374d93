import { type ExampleRow, type Message, partText } from '@tunesmith/core'

/** An example as plain texts: what the model reads (`prompt`), what it learns to write (`completion`), or `text`. */
export function partsOfExample({ messages, prompt, completion, text }: ExampleRow): Record<string, string> {
  const by = (test: (message: Message) => boolean) => partText(messages!.filter(test))
  if (messages)
    return { prompt: by(({ role }) => role !== 'assistant'), completion: by(({ role }) => role === 'assistant') }
  if (prompt !== undefined) return { prompt: partText(prompt), completion: partText(completion!) }
  return { text: text! }
}
