import type { Tokenizer } from '@tunesmith/tokenization'
import { type Answering, type Asked, mergedEvents, newId, seconds, UsageCount } from './answers'
import { badRequest } from './errors'
import { type CompletionRequest, samplingOf } from './requests'

const isIds = (prompt: readonly (string | number)[]): prompt is number[] => typeof prompt[0] === 'number'

/** The prompts of a completion as token ids. */
function promptsOf(tokenizer: Tokenizer, prompt: CompletionRequest['prompt']): number[][] {
  if (typeof prompt !== 'string' && isIds(prompt)) return [prompt]
  return [prompt].flat().map((text) => tokenizer.encode(text as string).ids)
}

/** Completions as the engine is asked for them: `n` answers to each prompt, one prompt after the other. */
export function completionRequests(
  tokenizer: Tokenizer,
  request: CompletionRequest,
  context: number,
  adapter?: string,
): { asked: Asked[]; usage: UsageCount } {
  const prompts = promptsOf(tokenizer, request.prompt)
  const answers = request.n ?? 1
  const asked = prompts.flatMap((prompt, p) => {
    const room = context - prompt.length
    if (room < 1)
      throw badRequest(
        `Prompt ${p} is ${prompt.length} tokens; the model reads ${context}, the answer included`,
        'context_length_exceeded',
        'prompt',
      )
    // OpenAI's default for completions.
    const options = (answer: number) => samplingOf(request, answer, Math.min(room, 16))
    return Array.from({ length: answers }, (_, answer) => ({
      index: p * answers + answer,
      request: { prompt, adapter, ...options(answer) },
    }))
  })
  return {
    asked,
    usage: new UsageCount(
      prompts.reduce((sum, { length }) => sum + length, 0),
      asked.length,
    ),
  }
}

export async function completionAnswer({ engine, tokenizer, asked, usage, model }: Answering) {
  const choices = asked.map(({ index }) => ({ index, text: '', logprobs: null, finish_reason: 'length' }))
  for await (const { index, event } of mergedEvents(engine, tokenizer, asked)) {
    usage.add(event)
    if (event.type === 'start') continue
    choices[index]!.text += event.text
    if (event.finish) choices[index]!.finish_reason = event.finish
  }
  return { id: newId('cmpl'), object: 'text_completion', created: seconds(), model, choices, usage: usage.usage }
}

export async function* completionChunks(
  { engine, tokenizer, asked, usage, model }: Answering,
  includeUsage: boolean,
): AsyncGenerator<unknown> {
  const common = { id: newId('cmpl'), object: 'text_completion', created: seconds(), model }
  for await (const { index, event } of mergedEvents(engine, tokenizer, asked)) {
    usage.add(event)
    if (event.type === 'start' || (!event.text && !event.finish)) continue
    const choice = { index, text: event.text, logprobs: null, finish_reason: event.finish ?? null }
    yield { ...common, choices: [choice], ...(includeUsage && { usage: null }) }
  }
  if (includeUsage) yield { ...common, choices: [], usage: usage.usage }
}
