import { readFileSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { isTunesmithError, Random } from '@tunesmith/core'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { loadDataset } from '../load/load'

const fixture = (name: string) => readFileSync(new URL(`../fixtures/${name}`, import.meta.url))
const lines = Array.from({ length: 12 }, (_, i) => ({ id: i, text: `line "${i}"\nwith, ü`, tags: ['a', { b: null }] }))
const jsonl = Buffer.from(lines.map((row) => `${JSON.stringify(row)}\n`).join(''))
const csv = Buffer.from(
  'id,text,note\r\n1,"a ""b"", c\r\nd",\r\n2,plain,é\r\n3,"x",y\r\n'.repeat(2).replace(/id.*\r\n$/, ''),
)

/** Kind of file, what is mutated, and how many mutants. */
const KINDS: [string, Buffer[], number][] = [
  [
    '.parquet',
    ['snappy', 'gzip', 'brotli', 'zstd', 'lz4', 'none'].map((codec) => fixture(`sample.${codec}.parquet`)),
    1300,
  ],
  ['.parquet', [fixture('encodings.parquet')], 300],
  ['.csv', [csv], 1100],
  ['.jsonl', [jsonl], 1100],
  ['.json', [Buffer.from(JSON.stringify(lines, null, 1)), Buffer.from(JSON.stringify({ a: lines, b: 2 }))], 700],
  ['.jsonl.gz', [gzipSync(jsonl)], 250],
  ['.jsonl.zst', [fixture('lines.jsonl.zst').subarray(0, 4000), fixture('lines.jsonl.zst')], 250],
]

const INSERTS = ['"', ',', '\n', '\r', '{', '}', '[', ']', '\\', '\0', '\ufeff', '\xff', 'null', '1e999', '""""']

/** One to four changes: bytes and bits flipped, cut, inserted, repeated or overwritten; more often near the end. */
function mutate(original: Buffer, random: Random): Buffer {
  let bytes = Buffer.from(original)
  for (let changes = 1 + random.int(4); changes > 0 && bytes.length > 0; changes--) {
    const tail = Math.min(bytes.length, 5000)
    const at = random.int(2) === 0 ? random.int(bytes.length) : bytes.length - 1 - random.int(tail)
    const length = Math.min(bytes.length - at, 1 + random.int(24))
    const [before, after] = [bytes.subarray(0, at), bytes.subarray(at)]
    switch (random.int(8)) {
      case 0:
        bytes[at] = random.int(256)
        break
      case 1:
        bytes[at]! ^= 1 << random.int(8)
        break
      case 2:
        bytes.fill(random.pick([0, 0x7f, 0xff]), at, at + length)
        break
      case 3:
        bytes = Buffer.concat([before, Buffer.from(random.pick(INSERTS), 'latin1'), after])
        break
      case 4:
        bytes = Buffer.concat([before, after.subarray(length)])
        break
      case 5:
        bytes = Buffer.concat([before, after.subarray(0, length), after])
        break
      case 6:
        if (random.int(4) === 0) bytes = Buffer.from(before)
        break
      default:
        bytes = Buffer.concat([before, Buffer.from(Array.from({ length }, () => random.int(256))), after])
    }
  }
  return bytes
}

describe('damaged files', () => {
  let folder: string
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'tunesmith-fuzz-'))
  })
  afterAll(() => rm(folder, { recursive: true, force: true }))

  it.each(KINDS)(
    '%s: rows, or an error with a place; never a crash or a hang',
    async (extension, originals, count) => {
      const path = join(folder, `x${extension}`)
      const outcomes = { read: 0, refused: 0 }
      for (let seed = 0; seed < count; seed++) {
        const random = new Random(seed, extension)
        await writeFile(path, mutate(random.pick(originals), random))
        const start = performance.now()
        try {
          await loadDataset(path)
          outcomes.read++
        } catch (error) {
          if (!isTunesmithError(error) || !error.where?.includes(path))
            throw new Error(`mutant ${seed}: an error without a place`, { cause: error })
          outcomes.refused++
        }
        // A decoder that runs away is stopped after five seconds of computing, which take longer on a busy machine.
        expect(performance.now() - start, `mutant ${seed}`).toBeLessThan(60_000)
      }
      expect(outcomes.refused).toBeGreaterThan(count / 20)
    },
    180_000,
  )
})
