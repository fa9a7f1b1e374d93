import type { Tokenizer } from '@tunesmith/tokenization'
import { answerEnds } from './answer-ends'
import type { Engine } from './engine'
import type { EngineEvent } from './engine-events'
import type { EngineRequest } from './engine-request'
import { StopStrings } from './stop-strings'

export interface EngineTextRequest extends EngineRequest {
  /** Texts that end the answer beside the model's own ends; they are no part of it. Default none. */
  stopStrings?: readonly string[] | undefined
}

/** What gives answers: an engine, or one that is watched. */
export type Answerer = Pick<Engine, 'model' | 'submit'>

/** Events of a request, each token with the text that it completes: whole characters, and nothing that may begin a stop string. */
export type EngineTextEvent =
  | Extract<EngineEvent, { type: 'start' }>
  | (Extract<EngineEvent, { type: 'token' }> & { text: string })

/**
 * Asks an engine for an answer as text. It ends as answers of `generateText` do.
 *
 * @throws {TunesmithError} like `Engine.submit`, with the first event.
 */
export async function* streamEngineText(
  engine: Answerer,
  tokenizer: Tokenizer,
  { stopStrings = [], ...request }: EngineTextRequest,
): AsyncGenerator<EngineTextEvent> {
  const ends = answerEnds(engine.model, tokenizer)
  const stream = tokenizer.decodeStream({ skipSpecialTokens: true })
  const strings = new StopStrings([...stopStrings, ...(request.stopTokenIds === undefined ? ends.strings : [])])
  const events = engine.submit({ stopTokenIds: ends.tokenIds, ...request })
  for await (const event of events) {
    if (event.type === 'start') {
      yield event
      continue
    }
    const { text, found } = strings.push(event.stopLength === undefined ? stream.push([event.token]) : '')
    if (found) {
      // Leaving the iteration cancels what would come after the stop string.
      yield { ...event, text, finish: 'stop' }
      return
    }
    const rest = event.finish ? strings.push(stream.end()).text + strings.end() : ''
    yield { ...event, text: text + rest }
  }
}
