import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { selectBackend } from '@tunesmith/backend'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { saveTinyModel } from '../testing/tiny-model'

const binary = fileURLToPath(new URL('../../bin/tunesmith.mjs', import.meta.url))

let folder: string

/** Runs the built command as a user would; `attack` sees what it writes and may send it a signal. */
async function tunesmith(args: string[], attack?: (child: ChildProcess, output: string) => void) {
  const child = spawn(process.execPath, [binary, ...args], { cwd: folder, stdio: ['ignore', 'ignore', 'pipe'] })
  let stderr = ''
  child.stderr.on('data', (chunk) => {
    stderr += chunk
    attack?.(child, stderr)
  })
  const status = await new Promise<number | null>((resolve) => child.on('close', resolve))
  return { status, stderr }
}

const config = (outputDir: string, more = '') => `
model: model
dataset: { train: train.jsonl, validation: train.jsonl, test: test.jsonl }
peft: { peftType: LORA, r: 4, targetModules: all-linear }
training:
  learningRate: 5.0e-3
  maxSteps: 300
  perDeviceTrainBatchSize: 2
  loggingSteps: 1
  saveSteps: 100
${more}
evaluation: { maxNewTokens: 2 }
outputDir: ${outputDir}
`

beforeAll(async () => {
  await selectBackend()
  folder = await mkdtemp(join(tmpdir(), 'tunesmith-train-'))
  await saveTinyModel(join(folder, 'model'))
  const rows = (from: number, to: number) =>
    Array.from({ length: to - from }, (_, i) =>
      JSON.stringify({ prompt: `Which number follows ${from + i}?`, completion: ` ${from + i + 1} does.` }),
    ).join('\n')
  await writeFile(join(folder, 'train.jsonl'), rows(0, 12))
  await writeFile(join(folder, 'test.jsonl'), rows(50, 53))
  await writeFile(join(folder, 'whole.yaml'), config('whole'))
  await writeFile(join(folder, 'parts.yaml'), config('parts'))
})
afterAll(() => rm(folder, { recursive: true }))

describe('tunesmith train', () => {
  it('saves at a signal, says how to go on, exits with its code, and --resume ends as if nothing had happened', async () => {
    expect((await tunesmith(['train', 'whole.yaml'])).status).toBe(0)
    const signals = (signal: NodeJS.Signals) => {
      let sent = false
      return (child: ChildProcess, output: string) => {
        // Some steps after it began.
        if (sent || !/^steps /m.test(output)) return
        sent = true
        setTimeout(() => child.kill(signal), 100)
      }
    }
    const first = await tunesmith(['train', 'parts.yaml'], signals('SIGTERM'))
    expect(first.status, first.stderr).toBe(143)
    expect(first.stderr).toMatch(
      /SIGTERM ended training; its state is in parts\/checkpoint-\d+\ngo on with: {2}npx tunesmith train parts.yaml --resume/,
    )
    const second = await tunesmith(['train', 'parts.yaml', '--resume'], signals('SIGINT'))
    expect(second.status, second.stderr).toBe(130)
    expect(second.stderr).toContain('resumed ')
    const third = await tunesmith(['train', 'parts.yaml', '--resume'])
    expect(third.status, third.stderr).toBe(0)
    expect(third.stderr).not.toContain('with the base model')
    const adapter = (run: string) => readFile(join(folder, run, 'adapter', 'adapter_model.safetensors'))
    expect((await adapter('parts')).equals(await adapter('whole'))).toBe(true)
    expect(await readdir(join(folder, 'parts'))).toEqual(expect.arrayContaining(['report.html', 'checkpoint-300']))
    expect((await readFile(join(folder, 'parts', 'logs.jsonl'), 'utf8')).trim().split('\n').length).toBe(300)
  }, 120_000)

  it('takes early stopping, and one kind of adapter at a time', async () => {
    await writeFile(
      join(folder, 'early.yaml'),
      config('early', '  evalStrategy: steps\n  evalSteps: 2\nearlyStopping: { patience: 1, threshold: 1000 }'),
    )
    const { status, stderr } = await tunesmith(['train', 'early.yaml'])
    expect(status, stderr).toBe(0)
    const metrics = JSON.parse(await readFile(join(folder, 'early', 'metrics.json'), 'utf8'))
    expect(metrics.training.steps).toBe(4)
    await writeFile(join(folder, 'both.yaml'), config('both', 'lora: { r: 2 }'))
    expect((await tunesmith(['train', 'both.yaml'])).stderr).toContain('Both "lora" and "peft" are given')
    await writeFile(join(folder, 'kind.yaml'), config('kind').replace('r: 4', 'rank: 4'))
    expect((await tunesmith(['train', 'kind.yaml'])).stderr).toMatch(/unknown key "rank".*kind\.yaml/)
  })
})
