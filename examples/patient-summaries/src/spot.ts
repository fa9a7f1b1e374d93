import { spawn } from 'node:child_process'
import { cpSync, existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Note } from './note-format'

/** Lays the folders out as a managed service mounts them. */
export function layOutJob(
  base: string,
  {
    rows,
    hyperparameters,
    baseModel,
  }: { rows: readonly Note[]; hyperparameters: Record<string, string>; baseModel?: string },
): void {
  const write = (path: string, text: string) => {
    mkdirSync(join(path, '..'), { recursive: true })
    writeFileSync(path, text)
  }
  write(join(base, 'input/data/train/notes.jsonl'), rows.map((row) => `${JSON.stringify(row)}\n`).join(''))
  write(join(base, 'input/config/hyperparameters.json'), JSON.stringify(hyperparameters, null, 2))
  if (baseModel && !existsSync(join(base, 'input/data/model')))
    cpSync(baseModel, join(base, 'input/data/model'), { recursive: true })
}

export interface JobRun {
  exitCode: number | null
  /** Step of the checkpoint it went on from; 0 for a fresh start. */
  resumedStep: number
  /** Losses by step, of this run alone. */
  losses: [step: number, loss: number][]
  seconds: number
}

/**
 * Runs the container's entry point as a process of its own.
 *
 * @param interruptAt sends SIGTERM after this step, as a provider that takes its machine back does.
 */
export function runJobProcess(base: string, { interruptAt }: { interruptAt?: number } = {}): Promise<JobRun> {
  const entry = fileURLToPath(new URL('./training-service/entry.ts', import.meta.url))
  const start = performance.now()
  const result: JobRun = { exitCode: null, resumedStep: 0, losses: [], seconds: 0 }
  return new Promise((resolve) => {
    const child = spawn(process.execPath, ['--import', import.meta.resolve('tsx'), entry, 'train'], {
      env: { ...process.env, TUNESMITH_ML_FOLDER: base },
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    let rest = ''
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      const lines = (rest + text).split('\n')
      rest = lines.pop()!
      for (const line of lines) {
        const resumed = /^resumed_step=(\d+)/.exec(line)
        if (resumed) result.resumedStep = Number(resumed[1])
        const step = /^step=(\d+) of=\d+ loss=([\d.]+)/.exec(line)
        if (!step) continue
        result.losses.push([Number(step[1]), Number(step[2])])
        if (Number(step[1]) === interruptAt) child.kill('SIGTERM')
      }
    })
    child.on('close', (exitCode) => resolve({ ...result, exitCode, seconds: (performance.now() - start) / 1000 }))
  })
}
