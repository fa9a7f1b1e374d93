import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it, vi } from 'vitest'
import { runSteps } from './steps.mjs'

const out = mkdtempSync(join(tmpdir(), 'tunesmith-steps-'))
const node = (script) => [process.execPath, '-e', script]
beforeAll(() => vi.spyOn(console, 'log').mockImplementation(() => {}))
afterAll(() => {
  vi.restoreAllMocks()
  rmSync(out, { recursive: true })
})

async function statuses(steps, options) {
  const records = []
  const ends = await runSteps(steps, { out, record: (entry) => records.push(entry), ...options })
  return { records, ends, text: ends.map(({ step, status }) => `${step} ${status}`).join(', ') }
}

it('goes on after a step that fails, crashes, cannot start or says too little', async () => {
  const { text, ends } = await statuses([
    { name: 'fails', limit: 20, command: node('console.log("why"); process.exit(3)') },
    { name: 'crashes', limit: 20, command: node('process.kill(process.pid, "SIGSEGV")') },
    { name: 'absent', limit: 20, command: ['/no/such/program'] },
    { name: 'silent', limit: 20, command: node(''), check: () => 'no test ran' },
    { name: 'depends', limit: 20, after: 'fails', command: node('') },
    { name: 'unwanted', limit: 20, skip: () => 'not here', command: node('') },
    { name: 'fine', limit: 20, env: { GIVEN: '5' }, command: node('process.exit(process.env.GIVEN === "5" ? 0 : 1)') },
  ])
  expect(text).toBe(
    'fails failed, crashes failed, absent failed, silent failed, depends skipped, unwanted skipped, fine passed',
  )
  expect(ends[0]).toMatchObject({ code: 3, reason: 'exit code 3; last: why' })
  expect(ends[1].reason).toMatch('SIGSEGV')
  expect(ends[4].reason).toBe('fails did not pass')
  expect(readFileSync(join(out, 'fails.log'), 'utf8')).toBe('why\n')
})

it('ends a step that runs over, with the processes it started, and keeps the rows it had', async () => {
  const mark = join(out, 'mark')
  const grandchild = `setTimeout(() => require('node:fs').writeFileSync(${JSON.stringify(mark)}, ''), 2500)`
  const script = `
    console.log('@row {"case":"first"}')
    require('node:child_process').spawn(process.execPath, ['-e', ${JSON.stringify(grandchild)}])
    setInterval(() => {}, 1000)`
  const { text, records } = await statuses([
    { name: 'hangs', limit: 1.2, needs: 1, command: node(script) },
    { name: 'next', limit: 20, command: node('setTimeout(() => {}, 2000)') },
  ])
  expect(text).toBe('hangs timeout, next passed')
  expect(records[0]).toEqual({ step: 'hangs', row: { case: 'first' } })
  expect(existsSync(mark)).toBe(false)
})

it('starts nothing that the time left is too short for', async () => {
  const { text, ends } = await statuses(
    [
      { name: 'long', limit: 300, needs: 60, command: node('') },
      { name: 'short', limit: 300, needs: 1, command: node('') },
    ],
    { minutes: 0.2 },
  )
  expect(text).toBe('long skipped, short passed')
  expect(ends[0].reason).toBe('12 s are left, it needs 60')
})
