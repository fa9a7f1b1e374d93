import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { inspect } from 'node:util'
import { afterEach, expect, it, vi } from 'vitest'
import { dataCommand } from './commands/data'
import { exportCommand } from './commands/export'
import { reportError } from './report-error'

const SECRET = 'hf_a+secret/of=this.test'

/** What a server may say of the key it was sent. */
const answers: Record<string, (response: ServerResponse, said: string, key: string) => void> = {
  'a header': (response, said) => response.writeHead(400, { 'x-error-message': said }).end(),
  'a JSON body': (response, said) =>
    response.writeHead(403, { 'content-type': 'application/json' }).end(JSON.stringify({ error: said })),
  'the address of a redirect': (response, _, key) =>
    response.writeHead(302, { location: `/${encodeURIComponent(key)}/${Math.random()}?key=${key}` }).end(),
  'another host': (response, _, key) =>
    response.writeHead(302, { location: `http://${encodeURIComponent(key)}.invalid/${key}` }).end(),
  'JSON that is none': (response, said) =>
    response.writeHead(200, { 'content-type': 'application/json' }).end(`{"sha": ${said}`),
  'the name of a file': (response, said) =>
    response
      .writeHead(200, { 'content-type': 'application/json' })
      .end(JSON.stringify({ sha: 'a'.repeat(40), siblings: [{ rfilename: `../${said}` }] })),
}

let server: Server | undefined
afterEach(() => {
  vi.restoreAllMocks()
  vi.unstubAllEnvs()
  server?.closeAllConnections()
  server?.close()
})

for (const [name, answer] of Object.entries(answers))
  it(`a key that the server repeats is in no message, stack or cause: ${name}`, async () => {
    let sent = 0
    const listen = (request: IncomingMessage, response: ServerResponse) => {
      const { authorization = '' } = request.headers
      if (authorization === `Bearer ${SECRET}`) sent++
      answer(response, `not this: ${authorization}`, authorization.replace('Bearer ', ''))
    }
    server = createServer(listen)
    await new Promise<void>((resolve) => server!.listen(0, '127.0.0.1', resolve))
    vi.stubEnv('HF_ENDPOINT', `http://127.0.0.1:${(server.address() as AddressInfo).port}`)
    vi.stubEnv('HF_TOKEN', SECRET)
    vi.stubEnv('HF_HUB_CACHE', join(tmpdir(), 'tunesmith-no-such-cache'))
    vi.stubEnv('HF_HUB_OFFLINE', '0')
    const lines: string[] = []
    vi.spyOn(process, 'emitWarning').mockImplementation((warning) => lines.push(String(warning)))
    vi.spyOn(console, 'error').mockImplementation((...parts) => lines.push(parts.join(' ')))
    const commands = [
      () => exportCommand().parseAsync(['owner/model', '--out', join(tmpdir(), 'tunesmith-none')], { from: 'user' }),
      () => dataCommand().parseAsync(['describe', 'owner/rows'], { from: 'user' }),
    ]
    for (const command of commands) {
      const error = await Promise.resolve(command()).then(
        () => undefined,
        (reason: unknown) => reason,
      )
      expect(error).toMatchObject({ name: 'TunesmithError' })
      reportError(error, true)
      lines.push(inspect(error, { depth: 9 }))
    }
    expect(sent).toBeGreaterThan(0)
    for (const form of [SECRET, encodeURIComponent(SECRET)]) expect(lines.join('\n')).not.toContain(form)
  }, 60_000)
