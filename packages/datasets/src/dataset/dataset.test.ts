import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { loadDataset } from '../load/load'
import { Dataset } from './dataset'

const numbers = (length: number) => Dataset.fromRows(Array.from({ length }, (_, i) => ({ i })))
const values = (dataset: Dataset<{ i: number }>) => dataset.toArray().map(({ i }) => i)

describe('Dataset', () => {
  it('gives rows by index, also from the end, and refuses others', () => {
    const dataset = numbers(3)
    expect([dataset.length, dataset.at(0).i, dataset.at(-1).i, [...dataset].length]).toEqual([3, 0, 2, 3])
    expect(() => dataset.at(3)).toThrow(/no row 3\. The data set has 3 rows/)
    expect(() => dataset.at(0.5)).toThrow(/no row/)
  })

  it('selects, takes, skips and shards', () => {
    expect(values(numbers(5).select([4, 0, 0, -1]))).toEqual([4, 0, 0, 4])
    expect(values(numbers(5).skip(1).take(2))).toEqual([1, 2])
    expect(values(numbers(5).take(99))).toHaveLength(5)
    const shards = [0, 1, 2].map((index) => values(numbers(8).shard({ count: 3, index })))
    expect(shards).toEqual([
      [0, 3, 6],
      [1, 4, 7],
      [2, 5],
    ])
    expect(() => numbers(8).shard({ count: 3, index: 3 })).toThrow(/no shard 3/)
  })

  it('shuffles the same way on every machine', () => {
    // Recorded once; a change here would change every training run that is resumed.
    expect(values(numbers(12).shuffle(42))).toEqual([0, 11, 6, 1, 4, 10, 8, 3, 7, 2, 9, 5])
    expect(values(numbers(12).shuffle(43))).not.toEqual(values(numbers(12).shuffle(42)))
    expect(values(numbers(1000).shuffle(1)).sort((a, b) => a - b)).toEqual(values(numbers(1000)))
  })

  it('sorts stably, with missing values last or first', () => {
    const rows = [3, null, 1, 3, 2].map((k, i) => ({ k, i }))
    const dataset = Dataset.fromRows(rows)
    const order = (sorted: typeof dataset) => sorted.toArray().map(({ i }) => i)
    expect(order(dataset.sort('k'))).toEqual([2, 4, 0, 3, 1])
    expect(order(dataset.sort('k', { descending: true, nulls: 'first' }))).toEqual([1, 0, 3, 4, 2])
  })

  it('is made of an array by fromRows, and the constructor says so', () => {
    for (const rows of [[{ a: 1 }], undefined, 'rows.jsonl'])
      expect(() => new Dataset(rows as never)).toThrow(/Dataset\.fromRows\(rows\)/)
  })

  it('lists columns and different values', () => {
    const dataset = Dataset.fromRows<Record<string, unknown>>([{ a: 1 }, { b: [1] }, { a: 1, b: [1] }, { a: '1' }])
    expect(dataset.columns).toEqual(['a', 'b'])
    expect(dataset.unique('a')).toEqual([1, null, '1'])
    expect(dataset.unique('b')).toEqual([null, [1]])
  })

  it('renames, removes, keeps and casts columns', () => {
    const dataset = Dataset.fromRows([{ a: '1', b: 2, c: null as unknown }])
    expect(dataset.renameColumns({ a: 'x' }).at(0)).toEqual({ x: '1', b: 2, c: null })
    expect(dataset.removeColumns(['a', 'c']).at(0)).toEqual({ b: 2 })
    expect(dataset.selectColumns(['c', 'a']).columns).toEqual(['c', 'a'])
    expect(dataset.cast({ a: 'integer', b: 'string', c: 'date' }).at(0)).toEqual({ a: 1, b: '2', c: null })
    expect(() => dataset.renameColumns({ a: 'b' })).toThrow(/Two columns would be named "b"/)
    expect(() => dataset.removeColumns(['z'])).toThrow(/no column "z"/)
    expect(() =>
      Dataset.fromRows([{ a: 'x' }])
        .cast({ a: 'number' })
        .at(0),
    ).toThrow(/"x" is no number \(row 0, column "a"\)/)
  })

  it('concatenates and interleaves', () => {
    const [a, b] = [numbers(3), numbers(2).select([1, 0])]
    expect(values(Dataset.concatenate([a, b]))).toEqual([0, 1, 2, 1, 0])
    expect(values(Dataset.interleave([a, b]))).toEqual([0, 1, 1, 0])
    expect(values(Dataset.interleave([a, b], { stopping: 'allExhausted' }))).toEqual([0, 1, 1, 0, 2, 1])
    expect(values(Dataset.interleave([b, a]))).toEqual([1, 0, 0, 1])
    const mixed = Dataset.interleave([numbers(3000), numbers(3000).select([5])], {
      probabilities: [0.9, 0.1],
      seed: 3,
      stopping: 'allExhausted',
    })
    const share = values(mixed).filter((i) => i === 5).length / mixed.length
    expect(share).toBeGreaterThan(0.08)
    expect(share).toBeLessThan(0.12)
    expect(() => Dataset.interleave([a, b], { probabilities: [0.5, 0.4] })).toThrow(/add up to 1/)
  })
})

describe('trainTestSplit', () => {
  const people = Dataset.fromRows(
    Array.from({ length: 200 }, (_, i) => ({ i, label: i % 10 === 0 ? 'rare' : 'common', patient: `p${i % 37}` })),
  )

  it('divides all rows by share or number, rounding up', () => {
    const { train, test } = numbers(10).trainTestSplit({ testSize: 0.25, seed: 1 })
    expect([train.length, test.length]).toEqual([7, 3])
    expect([...values(train), ...values(test)].sort((a, b) => a - b)).toEqual(values(numbers(10)))
    expect(values(numbers(10).trainTestSplit({ testSize: 2, shuffle: false }).test)).toEqual([8, 9])
    expect(() => numbers(2).trainTestSplit({ testSize: 2 })).toThrow(/would leave none/)
  })

  it('keeps the shares of classes', () => {
    const { train, test } = people.trainTestSplit({ testSize: 0.2, seed: 5, stratifyBy: 'label' })
    const rare = (dataset: typeof people) => dataset.toArray().filter(({ label }) => label === 'rare').length
    expect([test.length, rare(test), rare(train)]).toEqual([40, 4, 16])
    expect(() => numbers(4).trainTestSplit({ testSize: 2, stratifyBy: 'i' })).toThrow(/occurs once/)
  })

  it('keeps groups whole, and classes near their shares', () => {
    for (const stratifyBy of [undefined, 'label']) {
      const { train, test } = people.trainTestSplit({ testSize: 0.3, seed: 2, groupBy: 'patient', stratifyBy })
      const groups = new Set(test.column('patient'))
      expect(train.column('patient').some((patient) => groups.has(patient))).toBe(false)
      expect(Math.abs(test.length - 60)).toBeLessThanOrEqual(5)
      expect(train.length + test.length).toBe(200)
    }
    const whole = Dataset.fromRows([{ g: 1 }, { g: 1 }])
    expect(() => whole.trainTestSplit({ testSize: 0.5, groupBy: 'g' })).toThrow(/No whole group/)
  })
})

describe('writing', () => {
  let folder: string
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'tunesmith-write-'))
  })
  afterAll(() => rm(folder, { recursive: true, force: true }))

  const rows = [
    {
      text: 'a "quoted", line\nbreak',
      n: 1,
      x: 0.5,
      ok: true,
      list: ['a', 'b'],
      messages: [{ role: 'user', content: 'ü' }],
    },
    { text: ' edge ', n: -7, x: 1e21, ok: false, list: [], messages: [] },
    { text: null, n: null, x: null, ok: null, list: null, messages: null },
  ]

  it('reads back what it wrote as JSON, JSON lines and Parquet', async () => {
    const dataset = Dataset.fromRows(rows)
    await dataset.toJSON(join(folder, 'x.json'))
    await dataset.toJSONL(join(folder, 'x.jsonl'))
    await dataset.toParquet(join(folder, 'x.parquet'))
    for (const name of ['x.json', 'x.jsonl', 'x.parquet'])
      expect((await loadDataset(join(folder, name))).toArray()).toEqual(rows)
  })

  it('writes CSV that reads back as text', async () => {
    const flat = Dataset.fromRows(rows).selectColumns(['text', 'n', 'x', 'ok', 'list'])
    await flat.toCSV(join(folder, 'x.csv'))
    expect((await loadDataset(join(folder, 'x.csv'))).toArray()).toEqual([
      { text: 'a "quoted", line\nbreak', n: '1', x: '0.5', ok: 'true', list: '["a","b"]' },
      { text: ' edge ', n: '-7', x: '1e+21', ok: 'false', list: '[]' },
      { text: null, n: null, x: null, ok: null, list: null },
    ])
    await Dataset.fromRows([{ a: null }, { a: 'x' }]).toCSV(join(folder, 'one.tsv'))
    expect(await readFile(join(folder, 'one.tsv'), 'utf8')).toBe('a\r\n""\r\nx\r\n')
    expect(await loadDataset(join(folder, 'one.tsv'))).toHaveLength(2)
  })

  it('keeps integers, dates and bytes in Parquet, and refuses mixed columns', async () => {
    const exact = [{ id: 2n ** 60n, at: new Date(1e12), raw: new Uint8Array([1, 2]) }]
    await Dataset.fromRows(exact).toParquet(join(folder, 'y.parquet'))
    expect((await loadDataset(join(folder, 'y.parquet'))).toArray()).toEqual(exact)
    await expect(Dataset.fromRows([{ a: 1 }, { a: 'x' }]).toParquet(join(folder, 'z.parquet'))).rejects.toThrow(
      /Column "a" mixes number and string/,
    )
  })
})
