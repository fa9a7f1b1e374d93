import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { loadDataset } from './load/load'
import { sharedFolder } from './testing/shared'

const shared = sharedFolder('data')
const digests = JSON.parse(readFileSync(new URL('./fixtures/digests.json', import.meta.url), 'utf8')) as Record<
  string,
  { rows: number; sha256: string }
>

describe.skipIf(!shared.present)(`real data, cell by cell as pyarrow and pandas read it ${shared.note}`, () => {
  it.each(Object.entries(digests))('%s', async (file, expected) => {
    for (const streaming of [false, true] as const) {
      const sha = createHash('sha256')
      let rows = 0
      const source = streaming
        ? await loadDataset(join(shared.path, file), { streaming })
        : await loadDataset(join(shared.path, file))
      for await (const row of source) {
        sha.update(`${JSON.stringify(row)}\n`)
        rows++
      }
      expect({ rows, sha256: sha.digest('hex') }).toEqual(expected)
    }
  })
})
