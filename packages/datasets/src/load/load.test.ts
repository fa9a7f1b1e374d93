import { mkdir, mkdtemp, rm, unlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { gzipSync } from 'node:zlib'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { z } from 'zod'
import { loadDataset, loadDatasetSplits } from './load'

let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tunesmith-load-'))
})
afterAll(() => rm(folder, { recursive: true, force: true }))

async function put(name: string, content: string | Uint8Array): Promise<string> {
  const path = join(folder, name)
  await mkdir(dirname(path), { recursive: true })
  await writeFile(path, content)
  return path
}
const rowsOf = async (...args: Parameters<typeof loadDataset>) =>
  (await loadDataset(args[0], args[1] as { streaming?: false })).toArray()

describe('JSON lines', () => {
  it('reads a row a line, past blank lines, CRLF and a byte order mark', async () => {
    const path = await put('a.jsonl', '\ufeff{"a":1}\r\n\r\n{"a":"zwölf","b":null}\n   \n{"a":[1,{"c":2}]}')
    const dataset = await loadDataset(path)
    expect(dataset.toArray()).toEqual([{ a: 1 }, { a: 'zwölf', b: null }, { a: [1, { c: 2 }] }])
    expect(dataset.columns).toEqual(['a', 'b'])
    expect([0, 1, 2].map((i) => dataset.where(i))).toEqual([`${path}:1`, `${path}:3`, `${path}:5`])
  })

  it('names file and line of a row it cannot read, or skips and notes it', async () => {
    const path = await put('bad.jsonl', '{"a":1}\n{"a":\n[1]\n{"a":2}\n')
    await expect(loadDataset(path)).rejects.toMatchObject({ code: 'invalid_data', where: `${path}:2` })
    const dataset = await loadDataset(path, { onError: 'skip' })
    expect(dataset.toArray()).toEqual([{ a: 1 }, { a: 2 }])
    expect(dataset.where(1)).toBe(`${path}:4`)
    expect(dataset.skipped.count).toBe(2)
    expect(dataset.skipped.log.map(({ where }) => where)).toEqual([`${path}:2`, `${path}:3`])
    expect(dataset.skipped.log[1]!.message).toMatch(/must be an object, not an array/)
  })

  it('reads a line of 100 MB', async () => {
    const path = await put('long.jsonl', `{"a":"${'x'.repeat(100 * 2 ** 20)}"}\n{"a":"y"}\n`)
    const dataset = await loadDataset(path)
    expect((dataset.at(0).a as string).length).toBe(100 * 2 ** 20)
    expect(dataset.at(1)).toEqual({ a: 'y' })
    await unlink(path)
  })

  it('refuses text that is not UTF-8, naming the line', async () => {
    const path = await put('latin1.jsonl', Buffer.from('{"a":"ok"}\n{"a":"\xe9t\xe9"}\n', 'latin1'))
    await expect(loadDataset(path)).rejects.toMatchObject({ code: 'invalid_file', where: `${path}:2` })
  })

  it('reads rows whose columns and types differ, and keeps the types', async () => {
    const path = await put('mixed.jsonl', '{"a":1}\n{"a":"1"}\n{"b":true}\n')
    expect(await rowsOf(path)).toEqual([{ a: 1 }, { a: '1' }, { b: true }])
    expect(await rowsOf(path, { columns: ['a'] })).toEqual([{ a: 1 }, { a: '1' }, { a: null }])
    await expect(loadDataset(path, { columns: ['c'] })).rejects.toThrow(/no column "c".*mixed\.jsonl/)
  })
})

describe('JSON', () => {
  const rows = [{ a: 1 }, { a: 2 }]
  it.each([
    ['an array of rows', JSON.stringify(rows)],
    ['an array over several lines', JSON.stringify(rows, null, 2)],
    ['JSON lines under a .json name', '{"a":1}\n{"a":2}\n'],
    ['rows under the only field that holds any', '{"version":"1","data":[{"a":1},{"a":2}]}'],
    ['columns', '{"a":[1,2]}'],
  ])('reads %s', async (_, text) => {
    expect(await rowsOf(await put('x.json', text))).toEqual(rows)
  })

  it('reads records by key in the order of the file, with the key as a column', async () => {
    const path = await put('keyed.json', '{"20":{"q":"b"},\n"3":{"q":"a"},"x":{"q":"c"}}')
    const dataset = await loadDataset(path)
    expect(dataset.toArray()).toEqual([
      { id: '20', q: 'b' },
      { id: '3', q: 'a' },
      { id: 'x', q: 'c' },
    ])
    expect(dataset.where(1)).toBe(`${path}:2, key "3"`)
    expect((await rowsOf(path, { keyColumn: 'pmid' }))[0]).toEqual({ pmid: '20', q: 'b' })
    expect(await rowsOf(await put('flat.json', '{"7":"yes","5":"no"}'), { layout: 'keyed' })).toEqual([
      { id: '7', value: 'yes' },
      { id: '5', value: 'no' },
    ])
    await expect(loadDataset(await put('clash.json', '{"1":{"id":4}}'))).rejects.toThrow(/keyColumn/)
  })

  it('reads a single row, and the field asked for', async () => {
    expect(await rowsOf(await put('one.json', '{"prompt":"a","completion":"b"}'))).toEqual([
      { prompt: 'a', completion: 'b' },
    ])
    const path = await put('fields.json', '{"x":{"train":[{"a":1}],\n"test":[{"a":2}]}}')
    expect(await rowsOf(path, { field: 'x.test' })).toEqual([{ a: 2 }])
    expect((await loadDataset(path, { field: 'x.test' })).where(0)).toBe(`${path}:2`)
    await expect(loadDataset(path, { field: 'x' })).rejects.toThrow(/Several fields hold rows: train, test/)
    await expect(loadDataset(path, { field: 'y' })).rejects.toThrow(/The fields are: x/)
  })

  it('names the line of an element that is no row, and of a file cut short', async () => {
    const path = await put('bad.json', '[{"a":1},\n{"a":tru},\n{"a":2}]')
    await expect(loadDataset(path)).rejects.toMatchObject({ where: `${path}:2` })
    expect(await rowsOf(path, { onError: 'skip' })).toEqual([{ a: 1 }, { a: 2 }])
    const cut = await put('cut.json', '[{"a":1},\n{"a":')
    await expect(loadDataset(cut)).rejects.toMatchObject({ code: 'invalid_file', where: `${cut}:2` })
    await expect(loadDataset(await put('comma.json', '[{"a":1},]'))).rejects.toThrow(/beside a comma/)
    await expect(loadDataset(await put('after.json', '[{"a":1}] x'))).rejects.toThrow(/after the end/)
  })

  it('keeps brackets and quotes inside texts apart from the structure', async () => {
    const tricky = [{ a: 'end ] } "quoted\\" , [{' }, { a: '\\' }, { a: '日本' }]
    expect(await rowsOf(await put('tricky.json', JSON.stringify(tricky)))).toEqual(tricky)
  })
})

describe('text', () => {
  it('reads lines, paragraphs or the file', async () => {
    const path = await put('poem.txt', 'one\ntwo\n\n\nthree\r\n')
    expect((await rowsOf(path)).map(({ text }) => text)).toEqual(['one', 'two', '', '', 'three'])
    const paragraphs = await loadDataset(path, { textUnit: 'paragraph' })
    expect(paragraphs.toArray()).toEqual([{ text: 'one\ntwo' }, { text: 'three' }])
    expect(paragraphs.where(1)).toBe(`${path}:5`)
    expect(await rowsOf(path, { textUnit: 'file' })).toEqual([{ text: 'one\ntwo\n\n\nthree' }])
  })
})

describe('compressed files', () => {
  it('reads gzip and zstd', async () => {
    expect(await rowsOf(await put('a.jsonl.gz', gzipSync('{"a":1}\n{"a":2}\n')))).toEqual([{ a: 1 }, { a: 2 }])
    const zstd = await rowsOf(fileURLToPath(new URL('../fixtures/lines.jsonl.zst', import.meta.url)))
    expect(zstd).toHaveLength(3000)
    expect(zstd[2999]).toEqual({ id: 2999, text: 'row 2999 '.repeat(2) })
  })

  it('says when one is cut short or is not what its name says', async () => {
    const cut = await put('cut.jsonl.gz', gzipSync(`{"a":"${'abc'.repeat(1000)}"}\n`).subarray(0, 30))
    await expect(loadDataset(cut)).rejects.toMatchObject({ code: 'invalid_file', where: cut })
    const plain = await put('plain.jsonl.zst', '{"a":1}\n')
    await expect(loadDataset(plain)).rejects.toMatchObject({ code: 'invalid_file', where: plain })
  })
})

describe('sources', () => {
  beforeAll(async () => {
    for (const [name, count] of [
      ['set/train-00000.jsonl', 3],
      ['set/train-00001.jsonl', 2],
      ['set/deep/my_test.jsonl', 1],
      ['set/labels.jsonl', 9],
      ['set/README.md', 1],
    ] as const)
      await put(name, Array.from({ length: count }, (_, i) => `{"f":"${name}","i":${i}}\n`).join(''))
  })

  it('finds the splits of a folder, and leaves out files that belong to none', async () => {
    const splits = await loadDatasetSplits(join(folder, 'set'))
    expect(Object.fromEntries(Object.entries(splits).map(([name, { length }]) => [name, length]))).toEqual({
      train: 5,
      test: 1,
    })
    await expect(loadDataset(join(folder, 'set'))).rejects.toThrow(/several splits: test, train|train, test/)
    expect(await rowsOf(join(folder, 'set'), { split: 'test' })).toHaveLength(1)
    await expect(loadDataset(join(folder, 'set'), { split: 'dev' })).rejects.toThrow(/no split "dev"/)
  })

  it('takes patterns, lists and named splits', async () => {
    expect(await rowsOf(join(folder, 'set/train-*.jsonl'))).toHaveLength(5)
    expect(await rowsOf(join(folder, 'set/*.jsonl'))).toHaveLength(14)
    await put('logs/a.log', '{"a":1}\n')
    expect(await rowsOf(join(folder, 'logs/*'), { format: 'jsonl' })).toEqual([{ a: 1 }])
    expect(await rowsOf([join(folder, 'set/labels.jsonl'), join(folder, 'set/train-00001.jsonl')])).toHaveLength(11)
    const splits = await loadDatasetSplits({ few: join(folder, 'set/train-00001.jsonl') })
    expect(splits.few).toHaveLength(2)
  })

  it('slices and joins splits', async () => {
    const set = join(folder, 'set')
    expect((await rowsOf(set, { split: 'train[1:3]' })).map(({ i }) => i)).toEqual([1, 2])
    expect(await rowsOf(set, { split: 'train[:40%]+test' })).toHaveLength(3)
    expect((await rowsOf(set, { split: 'train[-1:]' }))[0]!.f).toBe('set/train-00001.jsonl')
    await expect(loadDataset(set, { split: 'train[1' })).rejects.toThrow(/is no split/)
  })

  it('says what is not there, and what it cannot read', async () => {
    await expect(loadDataset(join(folder, 'nothing.jsonl'))).rejects.toMatchObject({ code: 'not_found' })
    await expect(loadDataset(join(folder, 'set/*.csv'))).rejects.toMatchObject({ code: 'not_found' })
    await expect(loadDataset(await put('x.docx', 'x'))).rejects.toMatchObject({ code: 'unsupported' })
    await expect(loadDataset(await put('empty.jsonl', ''))).rejects.toThrow(/The file is empty \(.*empty\.jsonl\)/)
    await expect(loadDataset(folder, { splt: 'x' } as never)).rejects.toThrow(/did you mean "split"/)
    await put('two/a.jsonl', '{}')
    await put('two/b.csv', 'a\n1\n')
    await expect(loadDataset(join(folder, 'two'))).rejects.toThrow(/several formats/)
    expect(await rowsOf(join(folder, 'two'), { format: 'csv' })).toEqual([{ a: '1' }])
  })
})

describe('schema', () => {
  const schema = z.object({ q: z.string().min(1), n: z.coerce.number().default(7) })

  it('types rows, and names row and column of what does not fit', async () => {
    const path = await put('s.jsonl', '{"q":"a","n":"3"}\n{"q":"b"}\n{"q":""}\n{"n":1}\n')
    await expect(loadDataset(path, { schema })).rejects.toMatchObject({ where: `${path}:3` })
    const dataset = await loadDataset(path, { schema, onError: 'skip' })
    const total: number = dataset.toArray().reduce((sum, { n }) => sum + n, 0)
    expect(total).toBe(10)
    expect(dataset.skipped.log[1]!.message).toMatch(/column "q"/)
  })
})

describe('streaming', () => {
  it('gives the same rows, over and over, with places in errors', async () => {
    const path = await put('s.jsonl', Array.from({ length: 5000 }, (_, i) => `{"i":${i}}\n`).join(''))
    const stream = await loadDataset(path, { streaming: true })
    for (let round = 0; round < 2; round++) expect(await stream.collect()).toHaveLength(5000)
    const failing = stream.map((row) => {
      if (row.i === 4321) throw new Error('no')
      return row
    })
    await expect(failing.collect()).rejects.toMatchObject({ where: `${path}:4322` })
  })

  it('names the file that was deleted before its turn', async () => {
    const files = await Promise.all(['one.jsonl', 'two.jsonl'].map((name) => put(name, '{"a":1}\n')))
    const read = async () => {
      for await (const _ of await loadDataset(files, { streaming: true }))
        await unlink(files[1]!).catch(() => undefined)
    }
    await expect(read()).rejects.toMatchObject({ code: 'not_found', where: files[1] })
  })
})
