import type { TokenLogProb } from '@tunesmith/models'
import type { Message, Tokenizer } from '@tunesmith/tokenization'
import { type Answering, type Asked, mergedEvents, newId, seconds, UsageCount } from './answers'
import { badRequest } from './errors'
import { type ChatRequest, samplingOf } from './requests'

/** Content parts of text as one text, and OpenAI's newer name for instructions as templates know it. */
export const messageOf = ({ role, content, name }: ChatRequest['messages'][number]): Message =>
  ({
    role: role === 'developer' ? 'system' : role,
    content: Array.isArray(content) ? content.map(({ text }) => text).join('') : (content ?? ''),
    ...(name != null && { name }),
  }) as Message

const bytesOf = (text: string) => [...Buffer.from(text)]

function logProbsOf(tokenizer: Tokenizer, token: number, logProb: number, top: readonly TokenLogProb[]) {
  const entry = (one: TokenLogProb) => {
    const text = tokenizer.decode([one.token], { skipSpecialTokens: false })
    return { token: text, logprob: one.logProb, bytes: bytesOf(text) }
  }
  return { ...entry({ token, logProb }), top_logprobs: top.map(entry) }
}

/** A conversation in the tokenizer's chat template. */
export function chatTokens(tokenizer: Tokenizer, messages: readonly Message[], addGenerationPrompt = true) {
  if (!tokenizer.chatTemplate)
    throw badRequest('The model has no chat template: ask for a completion instead', 'unsupported_model', 'model')
  return tokenizer.renderChat([...messages], { addGenerationPrompt }).ids
}

/** A chat as the engine is asked for it. */
export function chatRequests(
  tokenizer: Tokenizer,
  request: Omit<ChatRequest, 'messages'> & { messages: Message[] },
  context: number,
  adapter?: string,
) {
  const ids = chatTokens(tokenizer, request.messages)
  const room = context - ids.length
  if (room < 1)
    throw badRequest(
      `The messages are ${ids.length} tokens; the model reads ${context}, the answer included`,
      'context_length_exceeded',
      'messages',
    )
  const logProbs = request.logprobs ? (request.top_logprobs ?? 0) : undefined
  const asked = Array.from({ length: request.n ?? 1 }, (_, index): Asked => {
    const options = samplingOf(request, index, Math.min(room, 512))
    return { index, request: { prompt: ids, adapter, logProbs, ...options } }
  })
  return { asked, usage: new UsageCount(ids.length, asked.length) }
}

export async function chatAnswer({ engine, tokenizer, asked, usage, model }: Answering) {
  const choices = asked.map(({ index, request }) => ({
    index,
    message: { role: 'assistant', content: '', refusal: null },
    logprobs: request.logProbs === undefined ? null : { content: [] as unknown[] },
    finish_reason: 'length' as 'stop' | 'length',
  }))
  for await (const { index, event } of mergedEvents(engine, tokenizer, asked)) {
    usage.add(event)
    if (event.type === 'start') continue
    const choice = choices[index]!
    choice.message.content += event.text
    if (event.logProb !== undefined)
      choice.logprobs?.content.push(logProbsOf(tokenizer, event.token, event.logProb, event.top!))
    if (event.finish) choice.finish_reason = event.finish
  }
  return { id: newId('chatcmpl'), object: 'chat.completion', created: seconds(), model, choices, usage: usage.usage }
}

/** Chunks: one with the role first, and what belongs `beside` the answer, then text, at last why it ended. */
export async function* chatChunks(
  { engine, tokenizer, asked, usage, model }: Answering,
  includeUsage: boolean,
  beside: object = {},
): AsyncGenerator<unknown> {
  const common = { id: newId('chatcmpl'), object: 'chat.completion.chunk', created: seconds(), model }
  const nothing = includeUsage ? { usage: null } : {}
  const chunk = (index: number, delta: object, finish: string | null = null, logprobs: unknown = null) => ({
    ...common,
    choices: [{ index, delta, logprobs, finish_reason: finish }],
    ...nothing,
  })
  let begun = false
  for await (const { index, event } of mergedEvents(engine, tokenizer, asked)) {
    // Not before the first event: until then a request that cannot be answered gets a status.
    if (!begun)
      for (const { index } of asked)
        yield { ...chunk(index, { role: 'assistant', content: '' }), ...(index === 0 && beside) }
    begun = true
    usage.add(event)
    if (event.type === 'start') continue
    const logProbs =
      event.logProb === undefined ? null : { content: [logProbsOf(tokenizer, event.token, event.logProb, event.top!)] }
    if (event.text || logProbs) yield chunk(index, { content: event.text }, null, logProbs)
    if (event.finish) yield chunk(index, {}, event.finish)
  }
  if (includeUsage) yield { ...common, choices: [], usage: usage.usage }
}
