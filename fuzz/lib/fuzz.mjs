import { fork } from 'node:child_process'
import { copyFile, mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { fileURLToPath } from 'node:url'

/** What one damaged file may take. */
export const LIMITS = { seconds: 5, megabytes: 1024 }

const worker = fileURLToPath(new URL('worker.mjs', import.meta.url))

/**
 * Loads `mutants` damaged files of a target. Each must load or end in a TunesmithError within the limits; what does not
 * is a fault, and its file is kept.
 *
 * @param {{ target: string, mutants: number, seed?: number, first?: number, keep?: string, seconds?: number, onProgress?: (done: number) => void }} options
 * @returns {Promise<{ loads: number, errors: number, faults: { index: number, what: string, file: string }[], slowest: number }>}
 */
export async function fuzz({ target, mutants, seed = 1, first = 0, keep, seconds = LIMITS.seconds, onProgress }) {
  const folder = await mkdtemp(join(tmpdir(), `tunesmith-fuzz-${target}-`))
  const result = { loads: 0, errors: 0, faults: [], slowest: 0 }
  const last = first + mutants
  try {
    for (let next = first; next < last; ) next = await runWorker(next)
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
  return result

  /** One worker from a mutant on, until it is done or one mutant ends it; gives the mutant to go on with. */
  async function runWorker(start) {
    const home = await mkdtemp(join(folder, 'worker-'))
    const child = fork(worker, [target, seed, start, last, home].map(String), {
      stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
      // The built packages are loaded, also from a test runner that resolves their sources.
      execArgv: [],
    })
    let stderr = ''
    child.stderr.on('data', (text) => {
      stderr = (stderr + text).slice(-2000)
    })
    let ready = false
    let current = -1
    let done = start
    let file
    let began = 0
    let base = 0
    let fault
    let killed = false
    const alarm = setInterval(() => {
      if (current < 0 || performance.now() - began < seconds * 1000) return
      fault ??= `not ended after ${seconds} s`
      child.kill('SIGKILL')
    }, 100)
    child.on('message', (message) => {
      if (message.ready) {
        ready = true
        base = message.peak
      } else if (message.begin !== undefined) {
        current = message.begin
        file = message.file
        began = performance.now()
      } else if (message.end !== undefined) {
        result.slowest = Math.max(result.slowest, (performance.now() - began) / 1000)
        current = -1
        done = message.end + 1
        result[message.outcome === 'loads' ? 'loads' : 'errors']++
        if (message.fault) report(message.end, message.fault)
        else if (message.peak - base > LIMITS.megabytes) fault = `${Math.round(message.peak - base)} MB of memory`
        if (fault) {
          report(message.end, fault)
          killed = true
          child.kill('SIGKILL')
        }
        onProgress?.(done - first)
      } else if (message.fault) fault = message.fault
    })
    const code = await new Promise((resolve) => child.on('close', (status, signal) => resolve(signal ?? status)))
    clearInterval(alarm)
    if (!ready) throw new Error(`The fuzz target "${target}" could not be prepared:\n${stderr}`)
    if (current < 0) {
      if (done === last || killed) return done
      report(done - 1, fault ?? `the process ended afterwards (${code}): ${stderr}`)
      return Math.max(done, start + 1)
    }
    await keepFile(current, file)
    report(current, fault ?? `the process ended (${code}): ${stderr}`)
    return current + 1
  }

  function report(index, what) {
    result.faults.push({ index, what, file: keep && join(keep, `${target}-${seed}-${index}`) })
  }

  async function keepFile(index, file) {
    if (!keep) return
    await mkdir(keep, { recursive: true })
    await copyFile(file, join(keep, `${target}-${seed}-${index}-${basename(file)}`)).catch(() => {})
  }
}
