import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'

export interface FakeRequest {
  method: string
  path: string
  query: URLSearchParams
  headers: Record<string, string>
  body: never
}

export interface FakeAnswer {
  status?: number
  headers?: Record<string, string>
  body?: unknown
}

/** An HTTP server for one test: answers what `handler` says, `undefined` never. */
export async function fakeServer(handler: (request: FakeRequest) => FakeAnswer | undefined) {
  const requests: FakeRequest[] = []
  const server: Server = createServer(async (incoming, outgoing) => {
    let text = ''
    for await (const chunk of incoming) text += chunk
    const url = new URL(incoming.url!, 'http://localhost')
    const request = {
      method: incoming.method!,
      path: url.pathname,
      query: url.searchParams,
      headers: incoming.headers as Record<string, string>,
      body: (text === '' ? undefined : JSON.parse(text)) as never,
    }
    requests.push(request)
    const answer = handler(request)
    if (!answer) return
    outgoing.writeHead(answer.status ?? 200, { 'content-type': 'application/json', ...answer.headers })
    outgoing.end(answer.body === undefined ? '' : JSON.stringify(answer.body))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests,
    async close() {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}
