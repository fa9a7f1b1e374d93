import { randomInt } from 'node:crypto'
import type { EngineTextRequest } from '@tunesmith/models'
import { z } from 'zod'
import { badRequest } from './errors'

const tokens = z.number().int().positive()
const oneOrMore = z.union([z.string().min(1), z.array(z.string().min(1)).max(16)])

/** What chats and completions share: OpenAI's names, and vLLM's where OpenAI has none. */
const sampling = {
  model: z.string(),
  max_tokens: tokens.nullish(),
  temperature: z.number().min(0).max(2).nullish(),
  top_p: z.number().gt(0).max(1).nullish(),
  top_k: z.number().int().min(-1).nullish(),
  min_p: z.number().min(0).max(1).nullish(),
  n: z.number().int().min(1).max(16).nullish(),
  seed: z.number().int().nullish(),
  stop: oneOrMore.nullish(),
  stop_token_ids: z.array(z.number().int().nonnegative()).nullish(),
  ignore_eos: z.boolean().nullish(),
  presence_penalty: z.number().min(-2).max(2).nullish(),
  frequency_penalty: z.number().min(-2).max(2).nullish(),
  repetition_penalty: z.number().positive().nullish(),
  logit_bias: z.record(z.string().regex(/^\d+$/, 'token ids'), z.number().min(-100).max(100)).nullish(),
  stream: z.boolean().nullish(),
  stream_options: z.strictObject({ include_usage: z.boolean().nullish() }).nullish(),
  user: z.string().nullish(),
}

const textPart = z.strictObject({ type: z.literal('text'), text: z.string() })
const content = z.union([z.string(), z.array(textPart)])
const toolCall = z.strictObject({
  id: z.string().optional(),
  type: z.literal('function').optional(),
  function: z.strictObject({ name: z.string(), arguments: z.string() }),
})
const message = z.strictObject({
  role: z.enum(['system', 'developer', 'user', 'assistant', 'tool']),
  content: content.nullish(),
  name: z.string().nullish(),
  tool_calls: z.array(toolCall).nullish(),
  tool_call_id: z.string().nullish(),
  refusal: z.null().optional(),
})

const responseFormat = z.discriminatedUnion('type', [
  z.strictObject({ type: z.literal('text') }),
  z.strictObject({ type: z.literal('json_object') }),
  z.strictObject({
    type: z.literal('json_schema'),
    json_schema: z.strictObject({
      name: z.string().max(64),
      description: z.string().nullish(),
      schema: z.record(z.string(), z.unknown()),
      // A schema is kept in any case.
      strict: z.boolean().nullish(),
    }),
  }),
])

const functionName = z.string().regex(/^[\w.-]{1,64}$/, 'expected 1 to 64 letters, digits, _, . and -')
const tool = z.strictObject({
  type: z.literal('function'),
  function: z.strictObject({
    name: functionName,
    description: z.string().optional(),
    parameters: z.record(z.string(), z.unknown()).optional(),
    strict: z.boolean().nullish(),
  }),
})

export const chatSchema = z.strictObject({
  ...sampling,
  messages: z.array(message).min(1),
  max_completion_tokens: tokens.nullish(),
  logprobs: z.boolean().nullish(),
  top_logprobs: z.number().int().min(0).max(20).nullish(),
  response_format: responseFormat.nullish(),
  tools: z.array(tool).max(128).nullish(),
  tool_choice: z
    .union([
      z.enum(['none', 'auto', 'required']),
      z.strictObject({ type: z.literal('function'), function: z.strictObject({ name: z.string() }) }),
    ])
    .nullish(),
  parallel_tool_calls: z.boolean().nullish(),
})
export type ChatRequest = z.output<typeof chatSchema>

export const completionSchema = z.strictObject({
  ...sampling,
  prompt: z.union([z.string(), z.array(z.string()).min(1), z.array(z.number().int().nonnegative()).min(1)]),
  echo: z.literal(false).nullish(),
})
export type CompletionRequest = z.output<typeof completionSchema>

const promptToTokenize = z.strictObject({
  model: z.string().optional(),
  prompt: z.string(),
  add_special_tokens: z.boolean().default(true),
})
const chatToTokenize = z.strictObject({
  model: z.string().optional(),
  messages: z.array(message).min(1),
  add_generation_prompt: z.boolean().default(true),
})
/** A text, or a conversation as the chat template has it. */
export const tokenizeSchema = (body: unknown) =>
  typeof body === 'object' && body !== null && 'messages' in body ? chatToTokenize : promptToTokenize
export const detokenizeSchema = z.strictObject({
  model: z.string().optional(),
  tokens: z.array(z.number().int().nonnegative()),
})

/**
 * A request's body.
 *
 * @throws {RequestError} 400 naming the field: one that is unknown, or asks for what is not here, is never passed over.
 */
export function readBody<Schema extends z.ZodType>(schema: Schema, body: unknown): z.output<Schema> {
  const parsed = schema.safeParse(body)
  if (parsed.success) return parsed.data
  const issue = parsed.error.issues[0]!
  if (issue.code === 'unrecognized_keys') {
    const [key] = issue.keys
    const at = [...issue.path, key].join('.')
    throw badRequest(`This server does not know the field ${JSON.stringify(at)}`, 'unsupported_parameter', at)
  }
  const at = issue.path.join('.')
  throw badRequest(`${at ? `${at}: ` : ''}${issue.message}`, 'invalid_value', at || undefined)
}

/** The options of one answer. */
export function samplingOf(
  request: Pick<CompletionRequest, Exclude<keyof typeof sampling, 'model'>> & {
    max_completion_tokens?: number | null | undefined
  },
  answer: number,
  room: number,
): Omit<EngineTextRequest, 'prompt' | 'adapter'> {
  const { temperature, seed, stop, logit_bias: bias } = request
  const set = <Value>(name: string, value: Value | null | undefined) => (value == null ? {} : { [name]: value })
  const drawn = temperature !== 0
  // Without a seed every request draws anew; several answers to one differ in any case.
  const ownSeed = (seed ?? randomInt(2 ** 31)) + answer
  return {
    maxNewTokens: request.max_completion_tokens ?? request.max_tokens ?? room,
    ...(temperature === 0 ? { doSample: false } : set('doSample', temperature == null ? undefined : true)),
    ...(drawn && { ...set('temperature', temperature), ...set('topP', request.top_p), ...set('minP', request.min_p) }),
    ...(drawn && request.top_k != null && { topK: Math.max(0, request.top_k) }),
    seed: ownSeed,
    stopStrings: stop == null ? [] : [stop].flat(),
    ...set('stopTokenIds', request.ignore_eos ? [] : request.stop_token_ids),
    ...set('presencePenalty', request.presence_penalty),
    ...set('frequencyPenalty', request.frequency_penalty),
    ...set('repetitionPenalty', request.repetition_penalty),
    ...(bias && {
      sequenceBias: Object.entries(bias).map(([id, value]): [number[], number] => [[Number(id)], value]),
    }),
  }
}
