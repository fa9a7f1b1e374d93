/**
 * Steps of a long measurement as processes of their own: each has its time limit, what it finds is written down at once, and
 * one that fails, hangs or crashes loses nothing of the others.
 */
import { spawn } from 'node:child_process'
import { createWriteStream } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'

/** A line a step prints to report a row: this and the row as JSON. */
export const ROW = '@row '

const seconds = (ms) => Math.round(ms / 100) / 10

function endGroup(child) {
  try {
    // The whole group: workers of a step must not keep the GPU.
    process.kill(-child.pid, 'SIGKILL')
  } catch {
    // Gone already.
  }
}

/** One command in its own process group, its output shown and kept in `log`; resolves to `{ code, signal, timedOut }`. */
function runCommand({ command, cwd, env }, { limit, log, onRow }) {
  return new Promise((resolve) => {
    const file = createWriteStream(log)
    const [program, ...args] = command
    const child = spawn(program, args, { cwd, env, detached: true, stdio: ['ignore', 'pipe', 'pipe'] })
    let timedOut = false
    const timer = setTimeout(() => {
      timedOut = true
      endGroup(child)
    }, limit)
    let last = ''
    for (const stream of [child.stdout, child.stderr])
      createInterface({ input: stream }).on('line', (line) => {
        file.write(`${line}\n`)
        if (line.startsWith(ROW)) return onRow(JSON.parse(line.slice(ROW.length)))
        if (line.trim()) last = line.trim()
        console.log(`  ${line}`)
      })
    const finish = (result) => {
      clearTimeout(timer)
      endGroup(child)
      file.end(() => resolve({ timedOut, last, ...result }))
    }
    child.on('error', (error) => finish({ code: 127, last: error.message }))
    child.on('close', (code, signal) => finish({ code, signal }))
  })
}

/**
 * Runs the steps one after another.
 *
 * @param steps `{ name, command, cwd?, env?, limit, needs?, skip?, after?, check? }`: `limit` and `needs` (what must be left to
 *   start it) in seconds; `skip` a reason not to run it; `after` names a step that must have passed; any of these may be a function,
 *   called when the step's turn comes; `check()` returns a problem that the exit code does not show
 * @param options `minutes` for all together; `out` the folder for the steps' output; `record(entry)` is called with each row
 *   (`{ step, row }`) and each end of a step (`{ step, status, seconds, reason? }`), as they come
 * @returns the ends of the steps; `status` is passed, failed, timeout or skipped
 */
export async function runSteps(steps, { minutes = Number.POSITIVE_INFINITY, out, record, env = process.env }) {
  const deadline = performance.now() + minutes * 60_000
  const ends = []
  const resolved = (value) => (typeof value === 'function' ? value() : value)
  for (const step of steps) {
    const left = deadline - performance.now()
    const needs = resolved(step.needs) ?? 5
    const limit = Math.min(resolved(step.limit) * 1000, left - 1000)
    const end = (status, more) => {
      const entry = { step: step.name, status, ...more }
      ends.push(entry)
      record(entry)
      console.log(`${step.name}: ${status}${more.reason ? ` (${more.reason})` : ''}, ${more.seconds} s`)
    }
    const before = step.after && ends.find(({ step: name }) => name === step.after)
    const skip =
      resolved(step.skip) ||
      (before && before.status !== 'passed' && `${step.after} did not pass`) ||
      (limit < needs * 1000 && `${Math.max(0, Math.round(left / 1000))} s are left, it needs ${needs}`)
    if (skip) {
      end('skipped', { seconds: 0, reason: skip })
      continue
    }
    const command = resolved(step.command)
    console.log(`\n> ${step.name}: ${command.join(' ')} (at most ${Math.round(limit / 1000)} s)`)
    const start = performance.now()
    const { code, signal, timedOut, last } = await runCommand(
      { command, cwd: step.cwd, env: { ...env, ...resolved(step.env) } },
      { limit, log: join(out, `${step.name}.log`), onRow: (row) => record({ step: step.name, row }) },
    )
    const took = { seconds: seconds(performance.now() - start) }
    const problem = !timedOut && code === 0 ? step.check?.() : undefined
    if (timedOut) end('timeout', { ...took, reason: `over ${Math.round(limit / 1000)} s; last: ${last}` })
    else if (code !== 0) end('failed', { ...took, code, reason: `${signal ?? `exit code ${code}`}; last: ${last}` })
    else if (problem) end('failed', { ...took, code: 1, reason: problem })
    else end('passed', took)
  }
  return ends
}
