/** Child processes with their peak memory, one-shot or answering questions one by one. */
import { spawn } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'

/** Arguments of a command; files may be URLs. */
const strings = (args) => args.map((arg) => (arg instanceof URL ? fileURLToPath(arg) : arg))

/** The kernel's high-water mark of a live process' resident memory in bytes (Linux; elsewhere undefined). */
export function peakMemoryOf(pid) {
  try {
    const mark = /VmHWM:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))
    return mark ? Number(mark[1]) * 1024 : undefined
  } catch {
    return undefined
  }
}

/** What is resident now, in bytes (Linux; elsewhere undefined). */
export function memoryOf(pid) {
  try {
    const now = /VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))
    return now ? Number(now[1]) * 1024 : undefined
  } catch {
    return undefined
  }
}

/** Starts the count of {@link peakMemoryOf} anew from what is resident now (Linux; elsewhere nothing happens). */
function resetPeakMemoryOf(pid) {
  if (process.platform === 'linux') writeFileSync(`/proc/${pid}/clear_refs`, '5')
}

/** The peak resident memory of this process in bytes, for a child that reports its own. */
export const ownPeakMemory = () => process.resourceUsage().maxRSS * 1024

/**
 * Run a command to its end. `peakMemory` is read from the kernel's high-water mark every 5 ms, so that only what is
 * touched in the last moments can be missed; a child that wants it exact prints `peakMemory=BYTES` itself.
 *
 * @returns `{ stdout, seconds, peakMemory }`; a failing command is an error with its stderr
 */
export function runChild(file, args, { env = process.env, cwd } = {}) {
  return new Promise((resolve, reject) => {
    const start = performance.now()
    const child = spawn(file, strings(args), { env, cwd, stdio: ['ignore', 'pipe', 'pipe'] })
    let stdout = ''
    let stderr = ''
    let peakMemory
    const timer = setInterval(() => {
      peakMemory = peakMemoryOf(child.pid) ?? peakMemory
    }, 5)
    child.stdout.setEncoding('utf8').on('data', (chunk) => {
      stdout += chunk
    })
    child.stderr.setEncoding('utf8').on('data', (chunk) => {
      stderr += chunk
    })
    child.on('error', reject)
    child.on('close', (code) => {
      clearInterval(timer)
      const seconds = (performance.now() - start) / 1000
      const exact = /^peakMemory=(\d+)$/m.exec(stdout)
      if (code !== 0) reject(new Error(`${file} ${args.join(' ')} ended with ${code}\n${stderr.slice(-4000)}`))
      else resolve({ stdout, seconds, peakMemory: exact ? Number(exact[1]) : peakMemory })
    })
  })
}

/**
 * A process that stays up and answers one JSON line per JSON line (in Python: `from worker import serve`, bench/lib is
 * on its path). What takes long to start (importing torch, loading a model) is then outside the measurement and the rounds
 * can be interleaved.
 *
 * @returns `{ call(message): Promise<answer>, peakMemory(), memory(), resetPeakMemory(), close() }`
 */
export function startWorker(file, args, { env = process.env, cwd } = {}) {
  const library = new URL('.', import.meta.url).pathname
  const PYTHONPATH = [library, env.PYTHONPATH].filter(Boolean).join(':')
  const child = spawn(file, strings(args), {
    cwd,
    env: { ...env, PYTHONPATH, PYTHONUNBUFFERED: '1' },
    stdio: ['pipe', 'pipe', 'pipe'],
  })
  const waiting = []
  let stderr = ''
  let ended
  const fail = (error) => {
    ended = error
    for (const { reject } of waiting.splice(0)) reject(error)
  }
  child.stderr.setEncoding('utf8').on('data', (chunk) => {
    stderr = (stderr + chunk).slice(-4000)
  })
  child.stdin.on('error', () => {})
  child.on('error', fail)
  child.on('close', (code) => fail(new Error(`${file} ended with ${code}\n${stderr}`)))
  createInterface({ input: child.stdout }).on('line', (line) => {
    // A library's chatter on stdout is not an answer.
    if (!line.startsWith('{')) return
    const answer = JSON.parse(line)
    const { resolve, reject } = waiting.shift() ?? {}
    if (answer.error) reject?.(new Error(answer.error))
    else resolve?.(answer)
  })
  return {
    call: (message) =>
      new Promise((resolve, reject) => {
        if (ended) return reject(ended)
        waiting.push({ resolve, reject })
        child.stdin.write(`${JSON.stringify(message)}\n`)
      }),
    peakMemory: () => peakMemoryOf(child.pid),
    memory: () => memoryOf(child.pid),
    resetPeakMemory: () => resetPeakMemoryOf(child.pid),
    close: () => child.kill(),
  }
}
