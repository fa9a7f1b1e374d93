import { mkdtemp, readdir, readFile, rm, truncate, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { Dataset } from '../dataset/dataset'
import { loadDataset } from '../load/load'

let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tunesmith-map-'))
})
afterAll(() => rm(folder, { recursive: true, force: true }))

const numbers = (length: number) => Dataset.fromRows(Array.from({ length }, (_, i) => ({ i })))

describe('map and filter', () => {
  it('run nothing until awaited, and then once', async () => {
    let calls = 0
    const lazy = numbers(5)
      .map(({ i }) => {
        calls++
        return { square: i * i }
      })
      .filter(({ square }) => square > 3)
      .take(2)
    expect(calls).toBe(0)
    expect((await lazy).toArray()).toEqual([{ square: 4 }, { square: 9 }])
    for await (const row of lazy) expect(row.square).toBeGreaterThan(3)
    expect(calls).toBe(5)
  })

  it('take promises, batches of any outcome, and a context', async () => {
    const slow = await numbers(3).map(async ({ i }, index, { add }) => ({ sum: i + index + add }), {
      context: { add: 1 },
    })
    expect(slow.column('sum')).toEqual([1, 3, 5])
    const doubled = await numbers(5).map(
      (rows, first) =>
        rows.flatMap((row) => [
          { ...row, first },
          { ...row, first },
        ]),
      {
        batched: true,
        batchSize: 2,
      },
    )
    expect(doubled.length).toBe(10)
    expect(doubled.column('first')).toEqual([0, 0, 0, 0, 2, 2, 2, 2, 4, 4])
  })

  it('name the row on which the function failed, and keep places', async () => {
    const path = join(folder, 'x.jsonl')
    await writeFile(path, '{"i":0}\n\n{"i":1}\n{"i":2}\n')
    const dataset = await loadDataset(path)
    const failing = dataset.map((row) => ({ text: (row.text as string).trim() }))
    await expect(failing).rejects.toMatchObject({ code: 'invalid_data', where: `${path}:1` })
    await expect(numbers(1).map(() => undefined)).rejects.toThrow(/returned undefined \(row 0\)/)
    const kept = await dataset.filter(({ i }) => i !== 0).map(({ i }) => ({ i }))
    expect(kept.where(0)).toBe(`${path}:3`)
  })
})

describe('worker threads', () => {
  it('give the rows of one thread, in order', async () => {
    const fn = ({ i }: { i: number }, index: number, { add }: { add: number }) => ({ i, sum: i + index + add })
    const options = { context: { add: 5 }, batchSize: 7 }
    const [one, two] = await Promise.all([
      numbers(100).map(fn, options),
      numbers(100).map(fn, { ...options, workers: 2 }),
    ])
    expect(two.toArray()).toEqual(one.toArray())
    const even = await numbers(100).filter(({ i }) => i % 2 === 0, { workers: 2, batchSize: 9 })
    expect(even.column('i')).toEqual(Array.from({ length: 50 }, (_, i) => 2 * i))
  })

  it('run modules and batched functions', async () => {
    const module = join(folder, 'fn.mjs')
    await writeFile(module, 'export default (rows) => rows.filter(({ i }) => i % 3 === 0)\n')
    const dataset = await numbers(30).map<{ i: number }>(pathToFileURL(module), {
      batched: true,
      workers: 2,
      batchSize: 4,
    })
    expect(dataset.column('i')).toEqual([0, 3, 6, 9, 12, 15, 18, 21, 24, 27])
  })

  it('name the row of a failure, and what a function may not use', async () => {
    const outside = 3
    await expect(numbers(20).map(({ i }) => ({ i: i + outside }), { workers: 1 })).rejects.toThrow(
      /outside is not defined; in a worker a function sees only its arguments.*row 0/,
    )
    const failing = numbers(20).map(
      ({ i }) => {
        if (i === 13) throw new Error('unlucky')
        return { i }
      },
      { workers: 2, batchSize: 5 },
    )
    await expect(failing).rejects.toMatchObject({ code: 'invalid_data', where: 'row 13' })
  })
})

describe('cache', () => {
  it('takes results from disk for the same source, function and options only', async () => {
    const cache = join(folder, 'cache')
    let calls = 0
    const fn = ({ i }: { i: number }) => {
      calls++
      return { ids: Int32Array.of(i, i + 1) }
    }
    const first = await numbers(25).map(fn, { cache, batchSize: 10 })
    const again = await numbers(25).map(fn, { cache, batchSize: 10 })
    expect(calls).toBe(25)
    expect(again.toArray()).toEqual(first.toArray())
    expect(again.fingerprint).toBe(first.fingerprint)
    await numbers(26).map(fn, { cache, batchSize: 10 })
    expect(calls).toBe(51)
    await numbers(25).map(fn, { cache, batchSize: 10, cacheKey: '2' })
    await numbers(25).map(fn, { cache, batchSize: 10, context: 'other' })
    expect(calls).toBe(101)
    const kept = await numbers(25).filter(({ i }) => i > 20, { cache })
    expect((await numbers(25).filter(({ i }) => i > 20, { cache })).toArray()).toEqual(kept.toArray())
  })

  it('goes on after a crash, and computes damaged parts anew', async () => {
    const cache = join(folder, 'crash')
    const seen: number[] = []
    let broken = true
    const fn = ({ i }: { i: number }) => {
      if (broken && i === 25) throw new Error('power cut')
      seen.push(i)
      return { i: -i }
    }
    await expect(numbers(40).map(fn, { cache, batchSize: 10 })).rejects.toThrow(/power cut/)
    broken = false
    seen.length = 0
    const result = await numbers(40).map(fn, { cache, batchSize: 10 })
    expect(seen[0]).toBe(20)
    expect(result.column('i').slice(0, 3)).toEqual([-0, -1, -2])

    const [name] = await readdir(join(cache, 'datasets'))
    const parts = (await readdir(join(cache, 'datasets', name!))).sort()
    expect(parts).toHaveLength(4)
    await truncate(join(cache, 'datasets', name!, parts[1]!), 50)
    seen.length = 0
    expect((await numbers(40).map(fn, { cache, batchSize: 10 })).toArray()).toEqual(result.toArray())
    expect(seen[0]).toBe(10)
  })

  it('notices a changed file and a changed module', async () => {
    const cache = join(folder, 'changed')
    const path = join(folder, 'data.jsonl')
    const module = join(folder, 'step.mjs')
    await writeFile(path, '{"i":1}\n')
    await writeFile(module, 'export default ({ i }) => ({ i: i + 1 })\n')
    const run = async () =>
      (await (await loadDataset(path)).map(pathToFileURL(module), { cache, workers: 1 })).toArray()
    expect(await run()).toEqual([{ i: 2 }])
    await writeFile(path, '{"i":5}\n')
    expect(await run()).toEqual([{ i: 6 }])
    await writeFile(module, (await readFile(module, 'utf8')).replace('+ 1', '+ 2'))
    expect(await run()).toEqual([{ i: 7 }])
  })
})
