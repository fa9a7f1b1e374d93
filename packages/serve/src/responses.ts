import { z } from 'zod'
import { type Answering, mergedEvents, newId, seconds } from './answers'
import { messageOf } from './chat'
import { chatSchema } from './requests'

const part = z.strictObject({
  type: z.enum(['input_text', 'output_text', 'text']),
  text: z.string(),
  annotations: z.array(z.unknown()).optional(),
  logprobs: z.array(z.unknown()).optional(),
})
const item = z.strictObject({
  type: z.literal('message').optional(),
  id: z.string().optional(),
  status: z.string().optional(),
  role: z.enum(['system', 'developer', 'user', 'assistant']),
  content: z.union([z.string(), z.array(part)]),
})

/** What is here of OpenAI's responses: texts, whole or streamed. Nothing is kept, so that none can be gone back to. */
export const responseSchema = z.strictObject({
  model: z.string(),
  input: z.union([z.string().min(1), z.array(item).min(1)]),
  instructions: z.string().nullish(),
  max_output_tokens: z.number().int().positive().nullish(),
  temperature: z.number().min(0).max(2).nullish(),
  top_p: z.number().gt(0).max(1).nullish(),
  stream: z.boolean().nullish(),
  store: z.literal(false, 'this server keeps no responses: leave it out, or send false').nullish(),
  text: z.strictObject({ format: z.strictObject({ type: z.literal('text') }).optional() }).nullish(),
  truncation: z.literal('disabled').nullish(),
  metadata: z.record(z.string(), z.string()).nullish(),
  user: z.string().nullish(),
})
export type ResponseRequest = z.output<typeof responseSchema>

/** The conversation of a request, as the chat API has it. */
export function responseChat({ model, input, instructions, ...rest }: ResponseRequest) {
  const items = typeof input === 'string' ? [{ role: 'user', content: input }] : input
  const { messages, ...request } = chatSchema.parse({
    model,
    messages: [
      ...(instructions ? [{ role: 'system', content: instructions }] : []),
      ...items.map(({ role, content }) => ({
        role,
        content: typeof content === 'string' ? content : content.map(({ text }) => text).join(''),
      })),
    ],
    max_tokens: rest.max_output_tokens,
    temperature: rest.temperature,
    top_p: rest.top_p,
  })
  return { ...request, messages: messages.map(messageOf) }
}

/** The events of a response, in OpenAI's order, and the response itself; what belongs `beside` an answer is a part of it. */
export async function* responseEvents(
  { engine, tokenizer, asked, usage, model }: Answering,
  request: ResponseRequest,
  beside: object = {},
): AsyncGenerator<{ type: string; [field: string]: unknown }, Record<string, unknown>> {
  const message = { type: 'message', id: newId('msg'), role: 'assistant' }
  const common = {
    id: newId('resp'),
    object: 'response',
    created_at: seconds(),
    model,
    error: null,
    instructions: request.instructions ?? null,
    max_output_tokens: request.max_output_tokens ?? null,
    metadata: request.metadata ?? {},
    parallel_tool_calls: false,
    previous_response_id: null,
    store: false,
    temperature: request.temperature ?? null,
    text: { format: { type: 'text' } },
    tool_choice: 'none',
    tools: [],
    top_p: request.top_p ?? null,
    truncation: 'disabled',
    ...beside,
  }
  const place = { item_id: message.id, output_index: 0, content_index: 0 }
  const textPart = (text: string) => ({ type: 'output_text', text, annotations: [], logprobs: [] })
  let number = 0
  const event = (type: string, fields: object) => ({ type, ...fields, sequence_number: number++ })
  const begun = { ...common, status: 'in_progress', incomplete_details: null, output: [], usage: null }

  let text = ''
  let finish: string | undefined
  let first = true
  for await (const { event: made } of mergedEvents(engine, tokenizer, asked)) {
    if (first) {
      // Not before the first event: until then a request that cannot be answered gets a status.
      yield event('response.created', { response: begun })
      yield event('response.in_progress', { response: begun })
      yield event('response.output_item.added', {
        output_index: 0,
        item: { ...message, status: 'in_progress', content: [] },
      })
      yield event('response.content_part.added', { ...place, part: textPart('') })
      first = false
    }
    usage.add(made)
    if (made.type === 'start') continue
    if (made.text) {
      text += made.text
      yield event('response.output_text.delta', { ...place, delta: made.text, logprobs: [] })
    }
    finish = made.finish ?? finish
  }
  const status = finish === 'length' ? 'incomplete' : 'completed'
  const item = { ...message, status, content: [textPart(text)] }
  yield event('response.output_text.done', { ...place, text, logprobs: [] })
  yield event('response.content_part.done', { ...place, part: textPart(text) })
  yield event('response.output_item.done', { output_index: 0, item })
  const { prompt_tokens, completion_tokens, total_tokens, prompt_tokens_details } = usage.usage
  const response = {
    ...common,
    status,
    incomplete_details: status === 'incomplete' ? { reason: 'max_output_tokens' } : null,
    output: [item],
    usage: {
      input_tokens: prompt_tokens,
      input_tokens_details: prompt_tokens_details,
      output_tokens: completion_tokens,
      output_tokens_details: { reasoning_tokens: 0 },
      total_tokens,
    },
  }
  yield event(`response.${status}`, { response })
  return response
}

/** The response, when it is whole. */
export async function wholeResponse(...of: Parameters<typeof responseEvents>): Promise<Record<string, unknown>> {
  const events = responseEvents(...of)
  while (true) {
    const { value, done } = await events.next()
    if (done) return value
  }
}
