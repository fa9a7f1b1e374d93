import { type RetrievalIndex, ragPrompt } from '@tunesmith/retrieval'
import type { Grounding } from '@tunesmith/serve'
import type { Message, Tokenizer } from '@tunesmith/tokenization'

/** Passages looked for; as many are given as fit. */
const PASSAGES = 10
/** Tokens that a template writes around a message, at most. */
const AROUND = 16

/** Answers from an index: the last question is asked with the passages for it, behind what was said before. */
export function groundedIn(index: RetrievalIndex, tokenizer: Tokenizer): Grounding {
  const countTokens = (text: string) => tokenizer.encode(text, { addSpecialTokens: false }).ids.length
  const sizeOf = ({ content }: Message) => countTokens(String(content)) + AROUND
  return async (messages, maxTokens) => {
    const at = messages.findLastIndex(({ role }) => role === 'user')
    if (at < 0) return { messages: [...messages], sources: [] }
    const question = String(messages[at]!.content)
    const others = messages.filter((_, i) => i !== at)
    const room = maxTokens - others.reduce((sum, message) => sum + sizeOf(message), 0) - 2 * AROUND
    const passages = await index.search(question, { k: PASSAGES })
    const prompt = (given: typeof passages, maxTokens: number) =>
      ragPrompt({ question, passages: given, maxTokens, countTokens })
    // Where not even this fits, the server says so of the chat.
    const without = prompt([], Number.POSITIVE_INFINITY)
    const { messages: asked, used } = without.tokens < room ? prompt(passages, room) : without
    const [instructions, last] = asked as [Message, Message]
    const own = others.filter(({ role }) => role === 'system').map(({ content }) => String(content))
    return {
      messages: [
        { role: 'system', content: [...own, instructions.content].join('\n\n') },
        ...messages.slice(0, at).filter(({ role }) => role !== 'system'),
        last,
        ...messages.slice(at + 1).filter(({ role }) => role !== 'system'),
      ],
      sources: used.map(({ number, document, source, text }) => ({ number, document, source, text })),
    }
  }
}
