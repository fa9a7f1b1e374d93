import { connect } from 'node:net'
import { selectBackend } from '@tunesmith/backend'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { type TinyServer, tinyServer } from './testing/tiny-server'

let server: TinyServer

beforeAll(async () => {
  await selectBackend()
  server = await tinyServer({ bodyLimit: 20_000 })
})
afterAll(async () => {
  await server.stop()
  // What a client gets wrong is never the server's mistake.
  expect(server.errors).toEqual([])
})

/** Numbers from 0 up to `below`, always the same. */
function generator(seed: number) {
  let state = seed
  return (below: number) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return Math.floor((state / 2 ** 32) * below)
  }
}

const PATHS = ['/v1/chat/completions', '/v1/completions', '/v1/responses', '/v1/embeddings', '/tokenize', '/detokenize']
/** A good request of each path, which the ones below spoil. */
const GOOD: Record<string, unknown>[] = [
  { model: 'tiny', messages: [{ role: 'user', content: 'x' }], max_tokens: 2 },
  { model: 'tiny', prompt: 'x', max_tokens: 2 },
  { model: 'tiny', input: 'x', max_output_tokens: 2 },
  { model: 'tiny', input: 'x' },
  { prompt: 'x' },
  { tokens: [5] },
]
const WRONG = [
  () => ({ a: [] }),
  () => [[[]]],
  () => Number.NaN,
  () => -1e308,
  () => ({ toString: 1, constructor: 2 }),
  () => 'x'.repeat(5000),
  () => ['\ud800', 1],
  () => JSON.parse('{"__proto__":{"a":1}}'),
  () => true,
]
const FIELDS = [
  'model',
  'messages',
  'prompt',
  'input',
  'max_tokens',
  'temperature',
  'stop',
  'n',
  'logit_bias',
  'stream',
]

/** The `i`th spoilt body; a good one in some cases of fields that a path may have. */
function spoilt(i: number, next: (below: number) => number): { path: string; body: string | Uint8Array } {
  const which = i % PATHS.length
  const path = PATHS[which]!
  const good = JSON.stringify(GOOD[which])
  const cut = next(good.length)
  switch (next(8)) {
    case 0:
      return { path, body: good.slice(0, cut) }
    case 1:
      return { path, body: `${good.slice(0, cut)}${String.fromCharCode(next(128))}${good.slice(cut + 1)}x` }
    case 2: {
      const bytes = new TextEncoder().encode(good)
      bytes[cut] = 0x80 + next(128)
      return { path, body: bytes }
    }
    case 3:
      return { path, body: '['.repeat(1 + next(15_000)) }
    case 4:
      return { path, body: `${'{"a":'.repeat(1 + next(3000))}1` }
    case 5:
      return { path, body: JSON.stringify({ ...GOOD[which], [`field_${i}`]: WRONG[next(WRONG.length)]!() }) }
    case 6:
      return { path, body: ' '.repeat(20_000) + good }
    default: {
      const field = FIELDS.filter((name) => name in GOOD[which]! || name === 'unknown')[0] ?? 'tokens'
      return { path, body: JSON.stringify({ ...GOOD[which], [field]: WRONG[next(3)]!() }) }
    }
  }
}

it('2,000 malformed requests are refused with an error in shape, and nothing is left of them', async () => {
  const next = generator(7)
  const memory = () => {
    global.gc?.()
    return process.memoryUsage().heapUsed
  }
  const ask = async (i: number) => {
    const { path, body } = spoilt(i, next)
    const response = await server.post(path, body)
    const text = await response.text()
    expect(response.status, `${i} ${path} ${String(body).slice(0, 80)} ${text}`).toBeGreaterThanOrEqual(400)
    expect(response.status, `${i} ${path} ${String(body).slice(0, 80)} ${text}`).toBeLessThan(500)
    const { error } = JSON.parse(text) as { error: Record<string, unknown> }
    expect(error).toMatchObject({ message: expect.any(String), type: 'invalid_request_error' })
  }
  for (let i = 0; i < 200; i++) await ask(i)
  const before = memory()
  for (let i = 200; i < 2000; i += 10) await Promise.all(Array.from({ length: 10 }, (_, j) => ask(i + j)))
  if (global.gc) expect(memory() - before).toBeLessThan(20e6)
  const { running, waiting } = server.engine.stats
  expect([running, waiting]).toEqual([0, 0])
  for (const [which, path] of PATHS.entries()) expect((await server.post(path, GOOD[which]!)).status, path).toBe(200)
})

/** Bytes sent over a connection that is then cut, or left to the server. */
function raw(bytes: string, { cut, url = server.url }: { cut: boolean; url?: string }): Promise<string> {
  return new Promise((resolve) => {
    const { hostname, port } = new URL(url)
    const socket = connect(Number(port), hostname)
    let answer = ''
    socket.on('data', (data) => {
      answer += data
      if (!cut) socket.end()
    })
    socket.on('error', () => resolve(answer))
    socket.on('close', () => resolve(answer))
    socket.write(bytes, () => {
      if (cut) socket.destroy()
    })
  })
}

it('connections that break off, bodies that never come and requests that are none leave the server as it was', async () => {
  const head = (path: string, length: number, rest = '') =>
    `POST ${path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: ${length}\r\n${rest}\r\n`
  const good = JSON.stringify({ ...GOOD[0], stream: true, max_tokens: 100, ignore_eos: true })
  await Promise.all([
    ...Array.from({ length: 20 }, (_, i) => raw(head(PATHS[i % 4]!, 500) + good.slice(0, i), { cut: true })),
    ...Array.from({ length: 20 }, () => raw(head(PATHS[0]!, good.length) + good, { cut: true })),
    ...Array.from({ length: 20 }, () => raw(head(PATHS[0]!, good.length) + good, { cut: false })),
  ])
  for (const nonsense of [
    '\0\0\0\0\r\n\r\n',
    'GET',
    'POST / HTTP/9.9\r\n\r\n',
    `GET /${'a'.repeat(20_000)} HTTP/1.1\r\n\r\n`,
  ])
    await raw(nonsense, { cut: nonsense === 'GET' })
  const late = await tinyServer({}, undefined, { requestTimeout: 200 })
  for (const slow of ['POST /v1/completions HTTP/1.1\r\nhos', head(PATHS[1]!, 500) + good.slice(0, 20)])
    expect(await raw(slow, { cut: false, url: late.url })).toMatch(/^HTTP\/1.1 408/)
  await late.stop()
  for (let i = 0; server.engine.stats.running + server.engine.stats.waiting > 0; i++) {
    expect(i).toBeLessThan(2000)
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
  expect((await server.post(PATHS[0]!, GOOD[0]!)).status).toBe(200)
})
