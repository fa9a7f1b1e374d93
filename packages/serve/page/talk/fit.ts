import { type Message, messagesOf, saidIn, type Turn } from './conversation'

export interface Fitting {
  messages: Message[]
  /** Tokens of the prompt. */
  tokens: number
  /** Earlier turns that are not sent. */
  leftOut: number
}

export interface Room {
  /** Tokens that the model reads, the answer included. */
  context: number
  /** Tokens that the answer should have. */
  answer: number
  /** Tokens of messages in the model's chat template. */
  count(messages: Message[]): Promise<number>
}

/** The question alone is longer than what the model reads. */
export class QuestionTooLong extends Error {}

/**
 * The latest turns that leave room for the answer, the instructions always among them. Turns go whole, the oldest first: half a question,
 * or an answer to nothing, would mislead the model. With the last turn alone the answer may get less room than it should have.
 */
export async function fit(turns: readonly Turn[], model: string, system: string, room: Room): Promise<Fitting> {
  const sent = turns.filter((turn, i) => i === turns.length - 1 || saidIn(turn, model))
  const without = async (leftOut: number): Promise<Fitting> => {
    const messages = messagesOf(sent.slice(leftOut), model, system)
    return { messages, tokens: await room.count(messages), leftOut }
  }
  const fits = ({ tokens }: Fitting) => tokens + room.answer <= room.context
  const whole = await without(0)
  if (fits(whole)) return whole
  const last = sent.length - 1
  // Each count is a request, so the number of turns to leave out is found by halving.
  let best = last === 0 ? whole : await without(last)
  let low = 1
  let high = last
  while (low < high) {
    const middle = Math.floor((low + high) / 2)
    const tried = await without(middle)
    if (fits(tried)) {
      best = tried
      high = middle
    } else low = middle + 1
  }
  if (best.tokens >= room.context)
    throw new QuestionTooLong(
      `This is ${Number.isFinite(best.tokens) ? `${best.tokens} tokens` : 'far too long'}, and the model reads ${room.context} tokens, its answer included. Please shorten the question${system.trim() ? ' or the instructions' : ''}.`,
    )
  return best
}
