import { errorBody, toApiError } from './errors'

/** A comment that keeps proxies and clients from giving up while a long prompt is read. */
const PING_MS = 10_000

/** What follows the last event; those of the responses API carry their type and end without a word. */
export interface EventForm {
  named?: boolean
}

/**
 * Server-sent events of what a generator yields, then `[DONE]`. An error in mid-stream is an event of its own. A client that goes away
 * ends the generator, and with it the answer.
 */
export function eventStream(
  chunks: AsyncGenerator<unknown>,
  onError: (error: unknown) => void,
  { named = false }: EventForm = {},
): Response {
  const encoder = new TextEncoder()
  let ping: NodeJS.Timeout | undefined
  let gone = false
  const body = new ReadableStream<Uint8Array>({
    start(controller) {
      ping = setInterval(() => controller.enqueue(encoder.encode(': ping\n\n')), PING_MS)
    },
    async pull(controller) {
      const send = (data: string) => controller.enqueue(encoder.encode(`data: ${data}\n\n`))
      const end = () => {
        clearInterval(ping)
        controller.close()
      }
      try {
        const { value, done } = await chunks.next()
        if (!done) {
          if (named) controller.enqueue(encoder.encode(`event: ${(value as { type: string }).type}\n`))
          return send(JSON.stringify(value))
        }
        if (!named) send('[DONE]')
        end()
      } catch (error) {
        if (gone) return
        const api = toApiError(error)
        if (api.status === 500) onError(error)
        if (named) controller.enqueue(encoder.encode('event: error\n'))
        const { message, code, param } = api
        send(JSON.stringify(named ? { type: 'error', message, code, param } : errorBody(api)))
        end()
      }
    },
    async cancel() {
      gone = true
      clearInterval(ping)
      await chunks.return(undefined)
    },
  })
  return new Response(body, {
    headers: { 'content-type': 'text/event-stream; charset=utf-8', 'cache-control': 'no-cache' },
  })
}
