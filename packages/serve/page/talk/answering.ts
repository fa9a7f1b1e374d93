import { type Api, type Model, Refused, type Sampling } from './api'
import type { Answer, Turn } from './conversation'
import { fit, QuestionTooLong } from './fit'
import { source } from './history'

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

/** One answer as it grows, each time whole. Ends with an `end`, whatever happens. */
export async function* answering(asking: Asking): AsyncGenerator<Answer> {
  const { api, model, turns, system, sampling, signal } = asking
  let answer: Answer = { model: model.id, text: '' }
  try {
    const context = model.max_model_len
    const wanted = Math.min(sampling.max_tokens ?? ANSWER_TOKENS, Math.floor(context / 2))
    const { messages, tokens, leftOut } = await fit(turns, model.id, system, {
      context,
      answer: wanted,
      count: (messages) => api.count(model.id, messages, signal),
    })
    if (leftOut > 0) answer = { ...answer, leftOut }
    yield answer
    const limited = sampling.max_tokens && { max_tokens: Math.min(sampling.max_tokens, context - tokens) }
    for await (const { text = '', end, sources } of api.chat(model.id, messages, { ...sampling, ...limited }, signal)) {
      answer = { ...answer, text: answer.text + text, ...(end && { end }) }
      if (sources) answer = { ...answer, sources: sources.map((each) => source({ ...each })) }
      yield answer
    }
  } catch (error) {
    if (error instanceof Refused) asking.onRefused(error.status)
    yield signal.aborted ? { ...answer, end: 'stopped' } : { ...answer, end: 'error', error: told(error) }
  }
}
