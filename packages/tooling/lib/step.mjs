/**
 * One line per step with the time it took, on stderr: stdout belongs to results (`--json` ends in one object).
 */
import { spawn } from 'node:child_process'

/** A failure whose message is for the reader of the terminal: what is missing and what to do. */
export class StepError extends Error {
  constructor(message, output = '') {
    super(message)
    this.output = output
  }
}

const seconds = (since) => `${((performance.now() - since) / 1000).toFixed(1)} s`

/** Print `label ... note (time)` around `work`; `work` may return a note. */
export async function step(label, work) {
  const start = performance.now()
  process.stderr.write(`tunesmith: ${label} ... `)
  try {
    const note = await work()
    process.stderr.write(`${note ?? 'done'} (${seconds(start)})\n`)
  } catch (error) {
    process.stderr.write(`failed (${seconds(start)})\n`)
    throw error
  }
}

/** A step whose command prints for itself: the label, then its output, then the time. Returns the exit code. */
export async function openStep(label, work) {
  const start = performance.now()
  process.stderr.write(`tunesmith: ${label}\n`)
  const code = await work()
  process.stderr.write(`tunesmith: ${label} ${code === 0 ? 'done' : 'failed'} (${seconds(start)})\n`)
  return code
}

/**
 * Run a command without a shell, and without stdin unless `stdin: true` gives it ours. With `quiet` its output is
 * collected, otherwise it goes to stderr (or to stdout with `stdout: true`). Resolves to `{ code, output }`; a command
 * that cannot be started has code 127.
 */
export function command(file, args, options = {}) {
  const { cwd, env = process.env, quiet = false, stdin = false, stdout = false, timeout = 0 } = options
  return new Promise((resolve) => {
    const stdio = [stdin ? 0 : 'ignore', ...(quiet ? ['pipe', 'pipe'] : [stdout ? 1 : 2, 2])]
    const child = spawn(file, args, { cwd, env, stdio, timeout })
    let output = ''
    const keep = (chunk) => {
      output += chunk
    }
    child.stdout?.setEncoding('utf8').on('data', keep)
    child.stderr?.setEncoding('utf8').on('data', keep)
    child.on('error', (error) => resolve({ code: 127, output: error.message }))
    child.on('close', (code, signal) => resolve({ code: code ?? 1, output: signal ? `${output}\n${signal}` : output }))
  })
}

/** The last lines of a long output, for a failure message. */
export const tail = (output, lines = 40) => output.trimEnd().split('\n').slice(-lines).join('\n')

/** Run `main`, print a StepError as text rather than as a stack, and exit with its code. */
export async function runMain(main) {
  try {
    process.exitCode = await main()
  } catch (error) {
    if (!(error instanceof StepError)) throw error
    if (error.output) process.stderr.write(`${tail(error.output)}\n`)
    process.stderr.write(`tunesmith: ${error.message}\n`)
    process.exitCode = 1
  }
}
