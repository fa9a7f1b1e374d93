import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { stringifyJson } from '@tunesmith/core'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { Dataset } from '../dataset/dataset'
import { loadDataset } from '../load/load'

let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tunesmith-json-'))
})
afterAll(() => rm(folder, { recursive: true, force: true }))

const put = async (name: string, text: string) => {
  const path = join(folder, name)
  await writeFile(path, text)
  return path
}
const load = async (name: string, text: string, options = {}) => {
  const dataset = await loadDataset(await put(name, text), options)
  return Array.from(dataset, (row) => stringifyJson(row))
}

// What `datasets.load_dataset('json', ...)` of datasets 5.0.1 gives for these texts.
describe('JSON as datasets reads it', () => {
  it.each([
    ['f.json', '{"a":"b"}', ['{"a":"b"}']],
    ['f.json', '["x","y"]', ['{"text":"x"}', '{"text":"y"}']],
    [
      'f.jsonl',
      '{"a":NaN,"b":Infinity}\n{"a":1.5,"b":-Infinity}\n',
      ['{"a":NaN,"b":Infinity}', '{"a":1.5,"b":-Infinity}'],
    ],
    ['f.json', '{\n "a": 1\n}\n{\n "a": 2\n}\n', ['{"a":1}', '{"a":2}']],
    [
      'f.jsonl',
      '{\n "a": [1,\n {"b": "}"}]\n}\n\n{\n "a": 2\n}\n{"a":3}',
      ['{"a":[1,{"b":"}"}]}', '{"a":2}', '{"a":3}'],
    ],
    ['f.jsonl', '{"a":1}{"a":2} {"a":3}\n', ['{"a":1}', '{"a":2}', '{"a":3}']],
    ['f.jsonl', '{"a":1}\r{"a":2}\r', ['{"a":1}', '{"a":2}']],
    ['f.json', '{"a":1}\r\n{"a":2}\r\n', ['{"a":1}', '{"a":2}']],
  ])('%s %j', async (name, text, rows) => {
    expect(await load(name, text)).toEqual(rows)
  })

  it('counts lines by whatever ends them, and loses one row to one that is cut', async () => {
    const text = '{"a":1}\r{"a": [1,\r\n{"a":2}\n{\n"a":3}\n{"a":"x\n{"a":4}\n{"a":5'
    const dataset = await loadDataset(await put('cut.jsonl', text), { onError: 'skip' })
    expect(dataset.toArray()).toEqual([{ a: 1 }, { a: 2 }, { a: 3 }, { a: 4 }])
    expect(dataset.skipped.log.map((entry) => JSON.stringify(entry).match(/cut\.jsonl:(\d+)/)?.[1])).toEqual([
      '2',
      '6',
      '8',
    ])
    expect(dataset.where(2)).toMatch(/cut\.jsonl:4$/)
  })

  it('takes time in proportion to a file of rows that do not end', async () => {
    const path = await put('open.jsonl', '{"a": [1,\n'.repeat(50_000))
    const start = performance.now()
    const dataset = await loadDataset(path, { onError: 'skip' })
    expect(dataset.skipped.count).toBe(50_000)
    expect(performance.now() - start).toBeLessThan(30_000)
  })
})

describe('numbers keep their text', () => {
  const row = '{"id":9007199254740993,"price":20.0,"tools":[{"10":1.0,"9":[2.0]}],"10":-0.0}'
  const column = '{"a":1.0,"b":{"c":2.0}}'

  it.each([
    ['a line', 'x.jsonl', `${row}\n${row}`, [row, row]],
    ['an array', 'x.json', `[${row},\n${row}]`, [row, row]],
    ['one object', 'x.json', '{"price":20.0,"10":1.0,"9":{"c":2.0}}', ['{"price":20.0,"10":1.0,"9":{"c":2.0}}']],
    ['columns', 'x.json', '{"a":[1.0],"b":[{"c":2.0}]}', [column]],
    ['a field', 'x.json', `{"version":1.0,"data":[${row}]}`, [row]],
  ])('of %s', async (_, name, text, rows) => {
    expect(await load(name, text)).toEqual(rows)
    expect(await load(name, text, { columns: Object.keys(JSON.parse(rows[0]!)) })).toHaveLength(rows.length)
  })

  it('through steps, worker threads, the cache and writers', async () => {
    const dataset = await loadDataset(await put('steps.jsonl', `${row}\n`))
    const texts = (rows: Dataset<never> | Dataset) => Array.from(rows as Dataset, (item) => stringifyJson(item))
    expect(texts(dataset.renameColumns({ price: 'cost' }))).toEqual([row.replace('price', 'cost')])
    expect(texts(dataset.removeColumns(['id']))).toEqual([row.replace('"id":9007199254740993,', '')])
    expect(texts(dataset.cast({ price: 'string' }))).toEqual([row.replace('20.0', '"20.0"')])
    const tools = '{"tools":[{"10":1.0,"9":[2.0]}]}'
    const map = (rows: Record<string, unknown>) => ({ tools: rows.tools })
    expect(texts(await dataset.map(map))).toEqual([tools])
    expect(texts(await dataset.map(map, { workers: 1 }))).toEqual([tools])
    expect(texts(await dataset.map((r) => r, { workers: 1 }))).toEqual([row])
    const cached = { cache: join(folder, 'cache'), cacheKey: 'a' }
    expect(texts(await dataset.map(map, cached))).toEqual([tools])
    expect(texts(await dataset.map(map, cached))).toEqual([tools])
    const path = join(folder, 'out.csv')
    await dataset.selectColumns(['price', 'tools', 'id']).toCSV(path)
    expect(Array.from(await loadDataset(path))).toEqual([
      { price: '20.0', tools: '[{"10":1.0,"9":[2.0]}]', id: '9007199254740993' },
    ])
    expect(Dataset.fromRows([{ a: 1 }]).fingerprint).not.toBe(
      (await loadDataset(await put('f.jsonl', '{"a":1.0}'), { schema: undefined })).fingerprint,
    )
  })
})
