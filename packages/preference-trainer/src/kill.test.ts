import { spawn } from 'node:child_process'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Random } from '@tunesmith/core'
import { readJsonFile } from '@tunesmith/hub'
import { buildWorker } from '@tunesmith/tooling/build-worker'
import { afterAll, beforeAll, expect, it } from 'vitest'

const fixture = (name: string) => fileURLToPath(new URL(`./fixtures/${name}`, import.meta.url))
const BASE = fileURLToPath(new URL('../../models/src/fixtures/llama', import.meta.url))

let folder: string
let worker: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tunesmith-preference-kill-'))
  worker = await buildWorker(fileURLToPath(new URL('./testing/kill-worker.ts', import.meta.url)), folder)
}, 60_000)
afterAll(() => rm(folder, { recursive: true, force: true }))

/** One process from its start to its end, killed so many milliseconds after training begins, or after it starts. */
async function life(settings: object, kill?: { after: number; from: 'start' | 'ready' }): Promise<boolean> {
  const child = spawn(process.execPath, [worker, JSON.stringify(settings)], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, TUNESMITH_BACKEND: '' },
  })
  let [out, errors] = ['', '']
  const die = () => setTimeout(() => child.kill('SIGKILL'), kill!.after)
  if (kill?.from === 'start') die()
  child.stdout.on('data', (chunk) => {
    if (kill?.from === 'ready' && !out.includes('ready') && `${out}${chunk}`.includes('ready')) die()
    out += chunk
  })
  child.stderr.on('data', (chunk) => {
    errors += chunk
  })
  const [code, signal] = await new Promise<[number | null, string | null]>((resolve) =>
    child.on('close', (code, signal) => resolve([code, signal])),
  )
  if (signal !== 'SIGKILL' && code !== 0) throw new Error(`the worker failed: ${errors}${out}`)
  return out.includes('finished')
}

async function outcome(outputDir: string) {
  const lines = (await readFile(join(outputDir, 'logs.jsonl'), 'utf8')).trim().split('\n')
  return {
    adapter: await readFile(join(outputDir, 'adapter', 'adapter_model.safetensors')),
    logs: lines.map((line) => {
      const { tokensPerSecond: _, memory: __, ...log } = JSON.parse(line)
      return log
    }),
  }
}

it.each(['dpo', 'kto'] as const)('%s killed ten times ends with the same bits', { timeout: 120_000 }, async (kind) => {
  const recordings = await readJsonFile<Record<string, { rows: object[] }>>(fixture('trainings.json'))
  const rows = recordings[kind === 'kto' ? 'kto' : 'sigmoid_sft']!.rows
  const settings = { base: BASE, tokenizer: fixture('tokenizer'), rows, kind }
  const [alone, killed] = [join(folder, `${kind}-alone`), join(folder, `${kind}-killed`)]
  await life({ ...settings, outputDir: alone })
  const random = new Random(kind === 'kto' ? 2 : 1)
  for (let kills = 0; kills < 10; kills++) {
    const from = random.uniform() < 0.2 ? ('start' as const) : ('ready' as const)
    const finished = await life({ ...settings, outputDir: killed }, { from, after: random.uniform() * 120 })
    // One that was too quick for its killer counts as none, and begins anew.
    if (finished) {
      kills--
      await rm(killed, { recursive: true })
    }
  }
  await life({ ...settings, outputDir: killed })
  const [expected, got] = [await outcome(alone), await outcome(killed)]
  expect(got.adapter.equals(expected.adapter)).toBe(true)
  expect(got.logs).toEqual(expected.logs)
})
