import { type Api, type Model, Refused, type Sampling } from './api'
import type { Answer, Message, Turn } from './conversation'
import { fit, QuestionTooLong } from './fit'
import { sourcesOf } from './history'

/** What the server gives an answer where nothing is asked for. */
const ANSWER_TOKENS = 512

export interface Asking {
  api: Api
  model: Model
  /** The turns up to the one that is answered. */
  turns: readonly Turn[]
  system: string
  sampling: Sampling
  signal: AbortSignal
  /** Is told the status with which the server said no. */
  onRefused(status: number): void
}

/** What the reader is told of an error. */
function told(error: unknown): string {
  if (error instanceof Refused || error instanceof QuestionTooLong) return error.message
  console.error(error)
  return 'Something went wrong in this page; its console says what.'
}

/** Shares of what the model reads that are left for what the server adds to a chat: passages of an index. */
const SPARED = [0, 0.25, 0.5]

/** One answer as it grows, each time whole. Ends with an `end`, whatever happens. */
export async function* answering(asking: Asking): AsyncGenerator<Answer> {
  const { api, model, turns, system, sampling, signal } = asking
  const context = model.max_model_len
  const wanted = Math.min(sampling.max_tokens ?? ANSWER_TOKENS, Math.floor(context / 2))
  const count = (messages: Message[]) => api.count(model.id, messages, signal)
  let answer: Answer = { model: model.id, text: '' }
  async function* asked(spared: number): AsyncGenerator<Answer> {
    const { messages, tokens, leftOut } = await fit(turns, model.id, system, {
      context,
      answer: wanted + spared,
      count,
    })
    answer = { ...answer, ...(leftOut > 0 && { leftOut }) }
    yield answer
    const room = Math.max(1, context - tokens - spared)
    const limited = sampling.max_tokens && { max_tokens: Math.min(sampling.max_tokens, room) }
    for await (const { text = '', end, sources } of api.chat(model.id, messages, { ...sampling, ...limited }, signal)) {
      answer = { ...answer, text: answer.text + text, ...(end && { end }) }
      if (sources) answer = { ...answer, sources: sourcesOf(sources) }
      yield answer
    }
  }
  try {
    for (const share of SPARED) {
      try {
        yield* asked(Math.floor(share * context))
        return
      } catch (error) {
        const isTooLong = error instanceof Refused && error.code === 'context_length_exceeded'
        if (!isTooLong || share === SPARED.at(-1)) throw error
      }
    }
  } catch (error) {
    if (error instanceof Refused) asking.onRefused(error.status)
    yield signal.aborted ? { ...answer, end: 'stopped' } : { ...answer, end: 'error', error: told(error) }
  }
}
