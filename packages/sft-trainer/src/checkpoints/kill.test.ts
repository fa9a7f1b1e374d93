import { type ChildProcess, spawn } from 'node:child_process'
import { watch } from 'node:fs'
import { mkdir, mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Random } from '@tunesmith/core'
import { buildWorker } from '@tunesmith/tooling/build-worker'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { EvalLog, TrainLog } from '../index'

const MAX_STEPS = 120

let folder: string
let worker: string
let reference: Outcome

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tunesmith-kill-'))
  worker = await buildWorker(fileURLToPath(new URL('../testing/kill-worker.ts', import.meta.url)), folder)
  const outputDir = join(folder, 'reference')
  await life(outputDir, () => {})
  reference = await outcome(outputDir)
})
afterAll(() => rm(folder, { recursive: true, force: true }))

interface Life {
  lines: string[]
  exitCode: number | null
  finished: boolean
}

/** One process from its start to its end; `attack` gets it and may end it. */
async function life(outputDir: string, attack: (child: ChildProcess, ready: Promise<void>) => void): Promise<Life> {
  const child = spawn(process.execPath, [worker, JSON.stringify({ outputDir, maxSteps: MAX_STEPS, pause: 1 })], {
    stdio: ['ignore', 'pipe', 'pipe'],
    // The fastest that is there, whatever these tests run on.
    env: { ...process.env, TUNESMITH_BACKEND: '' },
  })
  let [out, errors] = ['', '']
  let sayReady = () => {}
  const ready = new Promise<void>((resolve) => {
    sayReady = resolve
  })
  child.stdout.on('data', (chunk) => {
    out += chunk
    if (out.includes('ready ')) sayReady()
  })
  child.stderr.on('data', (chunk) => {
    errors += chunk
  })
  attack(child, ready)
  const [exitCode, signal] = await new Promise<[number | null, NodeJS.Signals | null]>((resolve) =>
    child.on('close', (code, signal) => resolve([code, signal])),
  )
  if (signal !== 'SIGKILL' && exitCode !== 0 && exitCode !== 143) throw new Error(`the worker failed: ${errors}${out}`)
  const lines = out.split('\n').filter((line) => line !== '')
  return { lines, exitCode, finished: lines.some((line) => line.startsWith('finished')) }
}

interface Outcome {
  adapter: Buffer
  logs: object[]
}

/** What must not depend on how often the process died: the adapter to the last bit, and everything that was logged. */
async function outcome(outputDir: string): Promise<Outcome> {
  const withoutTimes = ({ tokensPerSecond: _, memory: __, evalRuntime: ___, ...log }: TrainLog & EvalLog) => log
  const lines = (await readFile(join(outputDir, 'logs.jsonl'), 'utf8')).trim().split('\n')
  return {
    adapter: await readFile(join(outputDir, 'adapter', 'adapter_model.safetensors')),
    logs: lines.map((line) => withoutTimes(JSON.parse(line))),
  }
}

describe('a training whose process dies', () => {
  it('ends with the same adapter and the same log, killed at fifty random moments', { timeout: 240_000 }, async () => {
    const random = new Random(2026)
    let [kills, inSaves, trainings] = [0, 0, 0]
    for (; kills < 50; trainings++) {
      const outputDir = join(folder, `killed-${trainings}`)
      for (;;) {
        const attack = (child: ChildProcess, ready: Promise<void>) => {
          if (kills >= 50) return
          const kill = () => void child.kill('SIGKILL')
          const choice = random.uniform()
          // Most of them somewhere in training, some while it starts or reads its checkpoint, some as soon as it saves.
          if (choice < 0.1) setTimeout(kill, random.uniform() * 400)
          else if (choice < 0.3) {
            const watcher = watch(outputDir, (_, name) => {
              if (name && isNew(name)) kill()
            })
            child.on('close', () => watcher.close())
          } else void ready.then(() => setTimeout(kill, random.uniform() * 160))
        }
        await mkdir(outputDir, { recursive: true })
        const before = await readdir(outputDir)
        const isNew = (name: string) => name.endsWith('.tmp') && !before.includes(name)
        const { finished, exitCode } = await life(outputDir, attack)
        if (finished && exitCode === 0) break
        kills++
        if ((await readdir(outputDir)).some(isNew)) inSaves++
      }
      const survived = await outcome(outputDir)
      expect(survived.adapter.equals(reference.adapter)).toBe(true)
      expect(survived.logs).toEqual(reference.logs)
    }
    console.log(`${kills} kills, ${inSaves} of them while saving, in ${trainings} trainings`)
    expect(inSaves).toBeGreaterThan(0)
  })

  it('saves at SIGTERM, exits with 143, and ends with the same adapter, ten times', { timeout: 120_000 }, async () => {
    const random = new Random(10)
    const outputDir = join(folder, 'terminated')
    let terminated = 0
    for (;;) {
      let asked = 0
      const attack = (child: ChildProcess, ready: Promise<void>) => {
        if (terminated >= 10) return
        void ready.then(() =>
          setTimeout(() => {
            asked = performance.now()
            child.kill('SIGTERM')
          }, random.uniform() * 120),
        )
      }
      const { exitCode, lines, finished } = await life(outputDir, attack)
      if (finished) break
      terminated++
      expect(exitCode).toBe(143)
      expect(lines.at(-1)).toMatch(/^interrupted \d+$/)
      expect(performance.now() - asked).toBeLessThan(10_000)
      // What was done is on disk: the step it ended with is the newest checkpoint.
      const step = Number(lines.at(-1)!.split(' ')[1])
      if (step > 0) expect(await readdir(outputDir)).toContain(`checkpoint-${step}`)
    }
    expect(terminated).toBe(10)
    const survived = await outcome(outputDir)
    expect(survived.adapter.equals(reference.adapter)).toBe(true)
    expect(survived.logs).toEqual(reference.logs)
  })
})
