import { errorBody, toApiError } from './errors'

/** A comment that keeps proxies and clients from giving up while a long prompt is read. */
const PING_MS = 10_000

/**
 * Server-sent events of what a generator yields, then `[DONE]`. An error in mid-stream is an event of its own. A client that goes away
 * ends the generator, and with it the answer.
 */
export function eventStream(chunks: AsyncGenerator<unknown>, onError: (error: unknown) => void): Response {
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
        if (!done) return send(JSON.stringify(value))
        send('[DONE]')
        end()
      } catch (error) {
        if (gone) return
        const api = toApiError(error)
        if (api.status === 500) onError(error)
        send(JSON.stringify(errorBody(api)))
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
