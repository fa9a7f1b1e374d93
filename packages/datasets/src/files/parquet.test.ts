import { readFileSync } from 'node:fs'
import { mkdtemp, rm, truncate, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { stringifyJson } from '@tunesmith/core'
import { parquetWriteBuffer } from 'hyparquet-writer'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { Dataset } from '../dataset/dataset'
import { loadDataset } from '../load/load'

const fixture = (name: string) => fileURLToPath(new URL(`../fixtures/${name}`, import.meta.url))
const expected = JSON.parse(readFileSync(fixture('sample.json'), 'utf8')) as Record<string, unknown>[]

/** Values JSON has no word for, as the script that made the fixtures wrote them. */
function asJson(value: unknown): unknown {
  if (typeof value === 'bigint') return { bigint: String(value) }
  if (value instanceof Date) return value.toISOString()
  if (value instanceof Uint8Array) return { bytes: Array.from(value) }
  if (Array.isArray(value)) return value.map(asJson)
  if (typeof value === 'object' && value !== null)
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, asJson(item)]))
  return value
}

let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tunesmith-parquet-'))
})
afterAll(() => rm(folder, { recursive: true, force: true }))

describe('readParquet', () => {
  it.each(['none', 'snappy', 'gzip', 'brotli', 'zstd', 'lz4'])(
    'reads what pyarrow wrote with codec %s',
    async (codec) => {
      const dataset = await loadDataset(fixture(`sample.${codec}.parquet`))
      expect(dataset.toArray().map(asJson)).toEqual(expected)
      expect(dataset.where(13)).toMatch(/sample\.\w+\.parquet, row group 1, row 3$/)
    },
  )

  it('reads delta and split encodings', async () => {
    const dataset = await loadDataset(fixture('encodings.parquet'))
    const columns = ['text', 'count', 'ratio', 'small']
    expect(dataset.columns).toEqual(columns)
    expect(dataset.toArray()).toEqual(
      expected.map((row) => Object.fromEntries(columns.map((column) => [column, row[column]]))),
    )
  })

  it('reads only the columns asked for, and names those that are not there', async () => {
    const dataset = await loadDataset(fixture('sample.zstd.parquet'), { columns: ['kind', 'text'] })
    expect(dataset.at(1)).toEqual({ kind: 'kind 1', text: expected[1]!.text })
    await expect(loadDataset(fixture('sample.zstd.parquet'), { columns: ['txt'] })).rejects.toThrow(
      /no column "txt" \(.*sample\.zstd\.parquet\)\. The columns are: text, kind/,
    )
  })

  it('reads decimals, times, maps and unsigned integers exactly, and knows which numbers are floating-point', async () => {
    const dataset = await loadDataset(fixture('values.parquet'))
    const text = Array.from(dataset, (row) => `${stringifyJson(row)}\n`).join('')
    expect(text).toBe(readFileSync(fixture('values.jsonl'), 'utf8'))
    const copy = join(folder, 'values.jsonl')
    await dataset.toJSONL(copy)
    expect(readFileSync(copy, 'utf8')).toBe(text)
    // What JSON lines keep comes back as it was.
    expect(Array.from(await loadDataset(copy), (row) => `${stringifyJson(row)}\n`).join('')).toBe(text)
  })

  it('ends in an error where a damaged file would end the engine', async () => {
    // A run of 2^30 nulls in place of the page's 2000.
    const data = Array.from({ length: 4000 }, (_, i) => (i < 3000 ? null : i))
    const column = { name: 'n', data, type: 'INT32' as const, nullable: true }
    const bytes = Buffer.from(parquetWriteBuffer({ columnData: [column], codec: 'UNCOMPRESSED', statistics: false }))
    const run = bytes.indexOf(Buffer.from([0, 0, 0, 0xa0, 0x1f, 0])) + 3 // 2000 times the level 0
    expect(run).toBeGreaterThan(3)
    bytes.set([0xfe, 0xff, 0xff, 0xff, 0x07, 0], run)
    const path = join(folder, 'flood.parquet')
    await writeFile(path, bytes)
    await expect(loadDataset(path)).rejects.toThrow(
      /(asks for too much memory|does not come to an end) \(.*flood\.parquet, row group 1\)/,
    )
    expect(await loadDataset(fixture('sample.zstd.parquet'))).toHaveLength(24)
  }, 60_000)

  it('names file, row group and column of damage', async () => {
    const bytes = readFileSync(fixture('sample.snappy.parquet'))
    const cut = join(folder, 'cut.parquet')
    await writeFile(cut, bytes.subarray(0, bytes.length - 40))
    await expect(loadDataset(cut)).rejects.toMatchObject({ code: 'invalid_file', where: cut })
    const broken = join(folder, 'broken.parquet')
    await writeFile(broken, Buffer.from(bytes).fill(0xee, 4, 400))
    await expect(loadDataset(broken)).rejects.toMatchObject({
      code: 'invalid_file',
      where: `${broken}, row group 0, column "text"`,
    })
    await writeFile(join(folder, 'none.parquet'), '')
    await expect(loadDataset(join(folder, 'none.parquet'))).rejects.toThrow(/The file is empty/)
  })

  it('stops a decoder that a damaged file sends into an endless loop', async () => {
    const data = Int32Array.from({ length: 4000 }, (_, i) => (i * i) % 977)
    const column = {
      name: 'n',
      data,
      type: 'INT32' as const,
      encoding: 'DELTA_BINARY_PACKED' as const,
      nullable: false,
    }
    const bytes = Buffer.from(parquetWriteBuffer({ columnData: [column], codec: 'UNCOMPRESSED', statistics: false }))
    // Blocks of 128 values in 4 parts become blocks in -1 parts, after which the decoder steps back as far as it went.
    const header = bytes.indexOf(Buffer.from([0x80, 0x01, 0x04]))
    bytes.set([0xff, 0xff, 0xff, 0xff, 0x0f, 1, 1, 1], header + 2)
    const path = join(folder, 'endless.parquet')
    await writeFile(path, bytes)
    await expect(loadDataset(path)).rejects.toThrow(/does not come to an end \(.*endless\.parquet, row group 0\)/)
    // The next file gets a decoder of its own.
    expect(await loadDataset(fixture('sample.zstd.parquet'))).toHaveLength(24)
  }, 180_000)

  it('names a text that is longer than any here can be, and reads the columns beside it', async () => {
    const path = fixture('long-text.parquet')
    const start = performance.now()
    await expect(loadDataset(path)).rejects.toThrow(
      /A value of 572 MB is longer than this runtime's longest text, 512 MB \(.*long-text\.parquet, row group 0, column "text"\)/,
    )
    expect(performance.now() - start).toBeLessThan(5000)
    expect((await loadDataset(path, { columns: ['id'] })).toArray()).toEqual([{ id: 'a' }, { id: 'b' }])
  })

  it('tells when a file shrinks while it is streamed', async () => {
    const path = join(folder, 'shrinking.parquet')
    const rows = Array.from({ length: 4000 }, (_, i) => ({
      text: `${'long '.repeat(2000)}${Math.imul(i, 2654435761)}`,
    }))
    await Dataset.fromRows(rows).toParquet(path, { rowGroupSize: 1000, codec: 'uncompressed' })
    const read = async () => {
      let count = 0
      for await (const _ of await loadDataset(path, { streaming: true })) if (++count === 1) await truncate(path, 1000)
    }
    await expect(read()).rejects.toThrow(/shorter while it was read.*shrinking\.parquet/)
  })
})
