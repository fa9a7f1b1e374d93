import type { TokenLogProb } from '@tunesmith/models'
import type { Message, Tokenizer } from '@tunesmith/tokenization'
import { type Answering, type Asked, mergedEvents, newId, seconds, UsageCount } from './answers'
import { badRequest } from './errors'
import { type ChatRequest, samplingOf } from './requests'
import { GrowingAnswer, type ToolCall, type Tools } from './structured/tools'

/** Content parts of text as one text, OpenAI's newer name for instructions as templates know it, and arguments of calls as the objects that they expect. */
export const messageOf = (message: ChatRequest['messages'][number]): Message => {
  const { role, content, name, tool_calls: calls, tool_call_id: id } = message
  return {
    role: role === 'developer' ? 'system' : role,
    content: Array.isArray(content) ? content.map(({ text }) => text).join('') : (content ?? ''),
    ...(name != null && { name }),
    ...(id != null && { tool_call_id: id }),
    ...(calls?.length && { tool_calls: calls.map(callOf) }),
  } as Message
}

function callOf({
  id,
  function: { name, arguments: text },
}: NonNullable<ChatRequest['messages'][number]['tool_calls']>[number]) {
  try {
    return {
      ...(id !== undefined && { id }),
      type: 'function',
      function: { name, arguments: JSON.parse(text) as unknown },
    }
  } catch {
    throw badRequest(`The arguments of a call of ${JSON.stringify(name)} are no JSON`, 'invalid_value', 'messages')
  }
}

const bytesOf = (text: string) => [...Buffer.from(text)]

function logProbsOf(tokenizer: Tokenizer, token: number, logProb: number, top: readonly TokenLogProb[]) {
  const entry = (one: TokenLogProb) => {
    const text = tokenizer.decode([one.token], { skipSpecialTokens: false })
    return { token: text, logprob: one.logProb, bytes: bytesOf(text) }
  }
  return { ...entry({ token, logProb }), top_logprobs: top.map(entry) }
}

/** A conversation in the tokenizer's chat template. */
export function chatTokens(
  tokenizer: Tokenizer,
  messages: readonly Message[],
  addGenerationPrompt = true,
  tools?: Tools | undefined,
) {
  if (!tokenizer.chatTemplate)
    throw badRequest('The model has no chat template: ask for a completion instead', 'unsupported_model', 'model')
  const functions = tools?.list.map((of) => ({ type: 'function', function: of }))
  const { ids } = tokenizer.renderChat([...messages], { addGenerationPrompt, ...(functions && { tools: functions }) })
  const before = tools?.before ? tokenizer.encode(tools.before, { addSpecialTokens: false }).ids : []
  return [...ids, ...before]
}

/** A chat as the engine is asked for it. */
export function chatRequests(
  tokenizer: Tokenizer,
  request: Omit<ChatRequest, 'messages'> & { messages: Message[] },
  context: number,
  adapter?: string,
  tools?: Tools,
) {
  const ids = chatTokens(tokenizer, request.messages, true, tools)
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

interface ChatAnswering extends Answering {
  tools?: Tools | undefined
}
interface AnswerMessage {
  role: 'assistant'
  content: string | null
  refusal: null
  tool_calls?: ToolCall[]
}

export async function chatAnswer({ engine, tokenizer, asked, usage, model, tools }: ChatAnswering) {
  const choices = asked.map(({ index, request }) => ({
    index,
    message: { role: 'assistant', content: '', refusal: null } as AnswerMessage,
    logprobs: request.logProbs === undefined ? null : { content: [] as unknown[] },
    finish_reason: 'length' as 'stop' | 'length' | 'tool_calls',
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
  for (const choice of tools ? choices : []) {
    const { calls, text } = tools!.read(choice.message.content!)
    if (calls.length === 0) continue
    choice.message.content = text || null
    choice.message.tool_calls = calls
    choice.finish_reason = 'tool_calls'
  }
  return { id: newId('chatcmpl'), object: 'chat.completion', created: seconds(), model, choices, usage: usage.usage }
}

/** Chunks: one with the role first, and what belongs `beside` the answer, then text, at last why it ended. */
export async function* chatChunks(
  { engine, tokenizer, asked, usage, model, tools }: ChatAnswering,
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
  const following = asked.map(() => new GrowingAnswer(tools!))
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
    const { text, calls } = tools
      ? following[index]!.add(event.text, event.finish !== undefined)
      : { text: event.text, calls: [] }
    if (text || logProbs) yield chunk(index, { content: text }, null, logProbs)
    if (calls.length > 0) yield chunk(index, { tool_calls: calls.map((call, i) => ({ index: i, ...call })) })
    if (event.finish) yield chunk(index, {}, calls.length > 0 ? 'tool_calls' : event.finish)
  }
  if (includeUsage) yield { ...common, choices: [], usage: usage.usage }
}
