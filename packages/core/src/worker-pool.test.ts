import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { pathToFileURL } from 'node:url'
import { afterAll, describe, expect, it } from 'vitest'
import { mapInOrder, WorkerPool } from './index'

const pools: WorkerPool[] = []
afterAll(() => Promise.all(pools.map((pool) => pool.close())))

function pool(work: string | URL, options: { threads?: number; data?: unknown; idleMs?: number } = {}): WorkerPool {
  const made = new WorkerPool({ name: 'test', threads: 2, work, ...options })
  pools.push(made)
  return made
}

/** Waits as long as a job says and gives its number back, added to the data. */
const waiting = `(data) => async ({ wait, n }) => {
  await new Promise((resolve) => setTimeout(resolve, wait))
  return n + data
}`

const busy = `() => ({ ms }) => { const end = Date.now() + ms; while (Date.now() < end); return require('node:worker_threads').threadId }`

describe('WorkerPool', () => {
  it('does jobs in several threads, with their data', async () => {
    const made = pool(waiting, { data: 100 })
    const jobs = [30, 0, 10, 0].map((wait, n) => made.run<number>({ wait, n }))
    expect(await Promise.all(jobs)).toEqual([100, 101, 102, 103])
    const two = pool(busy)
    expect(new Set(await Promise.all([0, 1, 2, 3].map(() => two.run({ ms: 50 })))).size).toBe(2)
  })

  it('reads its work from a module, and moves what is transferred', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'tunesmith-pool-'))
    await writeFile(
      join(folder, 'work.mjs'),
      'export default () => (array, transfer) => { array[0]++; transfer.push(array.buffer); return array }\n',
    )
    const made = pool(pathToFileURL(join(folder, 'work.mjs')))
    const given = Int32Array.of(1, 2)
    expect(await made.run<Int32Array>(given, { transfer: [given.buffer] })).toEqual(Int32Array.of(2, 2))
    expect(given.length).toBe(0)
    await rm(folder, { recursive: true })
  })

  it('hands errors on with code, place, remedy and further properties', async () => {
    const made = pool(`() => ({ kind }) => {
      if (kind === 'text') throw 'only a text'
      const error = Object.assign(new TypeError('it broke'), { row: 7 })
      if (kind === 'ours') Object.assign(error, { what: 'No answer', code: 'invalid_data', where: 'row 3', remedy: 'Add one' })
      if (kind === 'ours') Object.defineProperty(error, Symbol.for('tunesmith.error'), { value: true })
      throw error
    }`)
    await expect(made.run({ kind: 'ours' })).rejects.toMatchObject({
      code: 'invalid_data',
      where: 'row 3',
      remedy: 'Add one',
      row: 7,
      message: 'No answer (row 3). Add one',
      cause: { name: 'TypeError', row: 7, stack: expect.stringContaining('it broke') },
    })
    await expect(made.run({})).rejects.toMatchObject({ name: 'TypeError', message: 'it broke', row: 7 })
    await expect(made.run({ kind: 'text' })).rejects.toThrow('only a text')
    await expect(made.run({ kind: () => 1 })).rejects.toThrow(/could not be cloned/)
    await expect(pool('() => { throw new Error("no start") }').run({})).rejects.toThrow('no start')
  })

  it('gets over the death of a thread', async () => {
    const made = pool('() => ({ die, n }) => { if (die) process.exit(3); return n }', { threads: 1 })
    const [dead, after] = [made.run({ die: true }), made.run({ n: 1 })]
    await expect(dead).rejects.toMatchObject({
      code: 'internal',
      message: 'A test thread failed: it ended with code 3',
    })
    await expect(after).rejects.toMatchObject({ code: 'internal' })
    expect(await made.run({ n: 2 })).toBe(2)
    const job = pool(waiting, { data: 0 })
    const pending = job.run({ wait: 5000, n: 0 })
    await sleep(50)
    await Promise.all([expect(pending).rejects.toThrow('it was closed'), job.close()])
  })

  it('lets go of a job at once when it is aborted, and works on', async () => {
    const made = pool(waiting, { data: 0 })
    const controller = new AbortController()
    const long = made.run({ wait: 200, n: 1 }, { signal: controller.signal })
    controller.abort('enough')
    await expect(long).rejects.toMatchObject({ code: 'aborted', cause: 'enough' })
    await expect(made.run({}, { signal: controller.signal })).rejects.toMatchObject({ code: 'aborted' })
    expect(await made.run({ wait: 0, n: 2 })).toBe(2)
  })

  it('ends idle threads and starts new ones', async () => {
    const made = pool(busy, { threads: 1, idleMs: 20 })
    const first = await made.run({ ms: 0 })
    expect(await made.run({ ms: 0 })).toBe(first)
    await sleep(200)
    expect(await made.run({ ms: 0 })).not.toBe(first)
  })
})

it('mapInOrder keeps the order and reads no further than it may', async () => {
  let read = 0
  function* items() {
    for (let i = 0; i < 10; i++) {
      read++
      yield i
    }
  }
  const results: number[] = []
  const work = async (i: number) => {
    await sleep(i % 2 === 0 ? 10 : 0)
    if (i === 8) throw new Error('eight')
    return -i
  }
  const run = async () => {
    for await (const result of mapInOrder(items(), 3, work)) {
      results.push(result)
      expect(read).toBeLessThanOrEqual(results.length + 3)
    }
  }
  await expect(run()).rejects.toThrow('eight')
  expect(results).toEqual([-0, -1, -2, -3, -4, -5, -6, -7])
})
