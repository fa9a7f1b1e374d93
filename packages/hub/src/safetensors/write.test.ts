import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { openCheckpoint } from './checkpoint'
import { openSafetensors } from './file'
import { type TensorToWrite, writeSafetensors } from './write'
import { writeShardedSafetensors } from './write-sharded'

let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tunesmith-hub-'))
})
afterAll(() => rm(folder, { recursive: true, force: true }))

const bytes = (length: number, seed = 1) => Uint8Array.from({ length }, (_, i) => (i * 7 + seed) % 256)
const tensor = (name: string, shape: number[], seed = 1): TensorToWrite => ({
  name,
  dtype: 'F32',
  shape,
  data: bytes(
    shape.reduce((a, b) => a * b, 4),
    seed,
  ),
})

describe('writeSafetensors', () => {
  it('writes what it reads', async () => {
    const path = join(folder, 'a.safetensors')
    await writeSafetensors(path, [tensor('a', [3, 2]), tensor('b', [0, 5]), tensor('c', [], 9)], {
      metadata: { format: 'pt' },
    })
    const file = await openSafetensors(path)
    expect(file.metadata).toEqual({ format: 'pt' })
    expect([...file.tensors.keys()].sort()).toEqual(['a', 'b', 'c'])
    const a = await file.read('a')
    expect(a.byteOffset).toBe(0)
    expect(a).toEqual(bytes(24))
    expect(await file.readRows('a', 1, 3)).toEqual(bytes(24).subarray(8))
    expect(await file.read('c')).toEqual(bytes(4, 9))
    await file.close()
  })
  it('shards', async () => {
    const written = await writeShardedSafetensors(
      folder,
      [tensor('x', [4]), tensor('y', [2], 3), tensor('z', [2], 5)],
      { maxShardSize: 16 },
    )
    expect(written.files).toEqual([
      'model-00001-of-00002.safetensors',
      'model-00002-of-00002.safetensors',
      'model.safetensors.index.json',
    ])
    const checkpoint = await openCheckpoint(folder)
    expect(await checkpoint.read('z')).toEqual(bytes(8, 5))
    await checkpoint.close()
    expect(JSON.parse(await readFile(join(folder, 'model.safetensors.index.json'), 'utf8')).metadata.total_size).toBe(
      32,
    )
  })
})
