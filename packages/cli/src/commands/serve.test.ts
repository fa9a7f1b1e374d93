import { spawn } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { selectBackend } from '@tunesmith/backend'
import { loadModel } from '@tunesmith/models'
import { getPeftModel, savePeftModel } from '@tunesmith/peft-lora'
import { createIndex } from '@tunesmith/retrieval'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { saveTinyModel } from '../testing/tiny-model'

const binary = fileURLToPath(new URL('../../bin/tunesmith.mjs', import.meta.url))
let folder: string
beforeAll(async () => {
  await selectBackend()
  folder = await mkdtemp(join(tmpdir(), 'tunesmith-serve-command-'))
  await saveTinyModel(join(folder, 'model'))
  const model = await loadModel(join(folder, 'model'))
  await savePeftModel(getPeftModel(model, { r: 2, initLoraWeights: false }), join(folder, 'tuned'))
  model.dispose()
})
afterAll(() => rm(folder, { recursive: true }))

function start(args: string[], env: Record<string, string> = {}) {
  const child = spawn(process.execPath, [binary, 'serve', ...args], { cwd: folder, env: { ...process.env, ...env } })
  let output = ''
  const said = new Promise<string>((resolve, reject) => {
    const look = (data: Buffer) => {
      output += data
      const url = /Listening on (\S+)\/v1/.exec(output)?.[1]
      if (url) resolve(url)
    }
    child.stdout.on('data', look)
    child.stderr.on('data', look)
    child.on('exit', () => reject(new Error(output)))
  })
  const ended = new Promise<number | null>((resolve) => child.on('exit', resolve))
  return { child, url: said, ended, output: () => output }
}

test('serves a model and its adapters until it is told to stop', { timeout: 60_000 }, async () => {
  const args = ['--adapter', 'mine=tuned', '--port', '0', '--chat-template', 'chatml', '--notice', 'No advice']
  const server = start(['model', ...args], { TUNESMITH_API_KEY: 'a-secret' })
  const url = await server.url
  const headers = { authorization: 'Bearer a-secret' }
  const { data } = (await (await fetch(`${url}/v1/models`, { headers })).json()) as { data: { id: string }[] }
  expect(data.map(({ id }) => id)).toEqual(['model', 'mine'])
  const ask = async (model: string) => {
    const body = { model, messages: [{ role: 'user', content: 'Hello' }], temperature: 0, max_tokens: 12 }
    const response = await fetch(`${url}/v1/chat/completions`, { method: 'POST', headers, body: JSON.stringify(body) })
    return ((await response.json()) as { choices: { message: { content: string } }[] }).choices[0]!.message.content
  }
  expect(await (await fetch(url)).text()).toContain('data-notice="No advice"')
  const [base, mine] = await Promise.all([ask('model'), ask('mine')])
  expect(base).not.toBe(mine)
  server.child.kill('SIGTERM')
  expect(await server.ended).toBe(0)
  expect(server.output()).not.toContain('a-secret')
})

test('answers from an index, with the sources beside the answer', { timeout: 60_000 }, async () => {
  const index = await createIndex(join(folder, 'index'))
  await index.add([
    { id: 'a', text: 'Metformin lowers glucose.' },
    { id: 'b', text: 'Aspirin prevents a stroke.' },
  ])
  index.close()
  const server = start(['model', '--port', '0', '--chat-template', 'chatml', '--index', 'index'])
  const url = await server.url
  const ask = async (content: string) => {
    const body = { model: 'model', messages: [{ role: 'user', content }], temperature: 0, max_tokens: 4 }
    const response = await fetch(`${url}/v1/chat/completions`, { method: 'POST', body: JSON.stringify(body) })
    return (await response.json()) as {
      sources: { number: number; document: string }[]
      usage: { prompt_tokens: number }
    }
  }
  const found = await ask('What lowers glucose?')
  expect(found.sources).toMatchObject([{ number: 1, document: 'a' }])
  const nothing = await ask('Trains?')
  expect(nothing.sources).toEqual([])
  expect(nothing.usage.prompt_tokens).toBeLessThan(found.usage.prompt_tokens)
  server.child.kill('SIGTERM')
  expect(await server.ended).toBe(0)
})

test('refuses an adapter without a name', { timeout: 60_000 }, async () => {
  const server = start(['model', '--adapter', 'tuned'])
  await expect(server.url).rejects.toThrow('Write --adapter NAME=DIR')
})
