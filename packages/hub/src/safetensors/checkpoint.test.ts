import { mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { TunesmithError } from '@tunesmith/core'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { generator } from '../fixtures/hostile-safetensors'
import { openCheckpoint } from './checkpoint'
import { parseWeightMap } from './checkpoint-index'
import { writeShardedSafetensors } from './write-sharded'

let folder: string
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tunesmith-checkpoint-'))
})
afterEach(() => rm(folder, { recursive: true, force: true }))

const byte = (name: string, value: number) => ({
  name,
  dtype: 'U8' as const,
  shape: [2, 1],
  data: Uint8Array.of(value, value + 1),
})
const index = (text: string) => writeFile(join(folder, 'model.safetensors.index.json'), text)

describe('openCheckpoint', () => {
  it('reads shards as one, whole, by rows and into memory', async () => {
    await writeShardedSafetensors(folder, [byte('a', 1), byte('b', 3)], { maxShardSize: 2 })
    const checkpoint = await openCheckpoint(folder)
    expect([...checkpoint.tensors.keys()]).toEqual(['a', 'b'])
    expect(checkpoint.tensors.get('b')!.file).toBe(join(folder, 'model-00002-of-00002.safetensors'))
    expect(await checkpoint.read('b')).toEqual(Uint8Array.of(3, 4))
    expect(await checkpoint.readRows('b', 1, 2)).toEqual(Uint8Array.of(4))
    const target = new Uint8Array(2)
    await checkpoint.readInto('a', target)
    expect(target).toEqual(Uint8Array.of(1, 2))
    await expect(checkpoint.read('c')).rejects.toMatchObject({ code: 'not_found' })
    await checkpoint.close()
  })

  it('opens a single file by folder or by path, and names what a folder has instead', async () => {
    await expect(openCheckpoint(folder)).rejects.toMatchObject({ code: 'not_found' })
    await writeFile(join(folder, 'pytorch_model.bin'), '')
    await expect(openCheckpoint(folder)).rejects.toThrow(/It has pytorch_model.bin; only safetensors is read/)
    await expect(openCheckpoint(join(folder, 'none'))).rejects.toMatchObject({ code: 'not_found' })
    await writeShardedSafetensors(folder, [byte('a', 1)])
    for (const path of [folder, join(folder, 'model.safetensors')]) {
      const checkpoint = await openCheckpoint(path)
      expect(await checkpoint.read('a')).toEqual(Uint8Array.of(1, 2))
      await checkpoint.close()
    }
  })

  it('says which shard or tensor is missing', async () => {
    await writeShardedSafetensors(folder, [byte('a', 1), byte('b', 3)], { maxShardSize: 2 })
    const path = join(folder, 'model.safetensors.index.json')
    const text = await readFile(path, 'utf8')
    await index(text.replace('"a"', '"c"'))
    await expect(openCheckpoint(folder)).rejects.toMatchObject({
      code: 'invalid_file',
      message: expect.stringContaining('"c" in model-00001-of-00002.safetensors'),
    })
    await index(text)
    await rm(join(folder, 'model-00002-of-00002.safetensors'))
    await expect(openCheckpoint(folder)).rejects.toMatchObject({
      code: 'not_found',
      message: expect.stringContaining('"model-00002-of-00002.safetensors", which is not there'),
    })
  })

  it.each([
    '../model.safetensors',
    '/etc/model.safetensors',
    'a/../../model.safetensors',
    'sub/model.safetensors',
    '..\\model.safetensors',
    'C:model.safetensors',
    'model.safetensors\u0000',
    '..',
    '.',
    '',
    'passwd',
    'model.bin',
    `${'x'.repeat(300)}.safetensors`,
  ])('refuses a weight_map that leads to %j', async (shard) => {
    await index(JSON.stringify({ weight_map: { a: shard } }))
    await expect(openCheckpoint(folder)).rejects.toMatchObject({
      code: 'invalid_file',
      message: expect.stringContaining('weight_map'),
    })
  })

  it.each([
    ['nothing', ''],
    ['a list', '[]'],
    ['no weight_map', '{"metadata":{}}'],
    ['a weight_map that is none', '{"weight_map":3}'],
    ['a number for a file', '{"weight_map":{"a":3}}'],
    ['a tensor twice', '{"weight_map":{"a":"x.safetensors","a":"y.safetensors"}}'],
    ['two maps', '{"weight_map":{},"weight_map":{}}'],
    ['deep nesting', `{"metadata":${'['.repeat(100_000)}`],
  ])('refuses an index with %s', async (_, text) => {
    await index(text)
    await expect(openCheckpoint(folder)).rejects.toMatchObject({ code: 'invalid_file' })
  })

  it('follows the links of the Hub cache', async () => {
    const blobs = await mkdtemp(join(tmpdir(), 'tunesmith-blobs-'))
    await writeShardedSafetensors(blobs, [byte('a', 1)])
    await symlink(join(blobs, 'model.safetensors'), join(folder, 'model.safetensors'))
    const checkpoint = await openCheckpoint(folder)
    expect(await checkpoint.read('a')).toEqual(Uint8Array.of(1, 2))
    await checkpoint.close()
    await rm(blobs, { recursive: true })
  })

  it('gives 20,000 mutated indexes an error or plain file names', () => {
    const valid = JSON.stringify({
      metadata: { total_size: 4, deep: [[{ a: null, b: 1.5e3 }]] },
      weight_map: { 'a.weight': 'model-00001-of-00002.safetensors', 'b.ü': 'model-00002-of-00002.safetensors' },
    })
    const seeds = new TextEncoder().encode(valid)
    let accepted = 0
    for (let seed = 1; seed <= 20_000; seed++) {
      const random = generator(seed)
      let bytes = Uint8Array.from(seeds)
      for (let i = Math.floor(random() * 4); i >= 0; i--) {
        const at = Math.floor(random() * bytes.length)
        const action = random()
        if (action < 0.6) bytes[at] = '"{}[]:,./\\0x9\u0000 ^'.charCodeAt(Math.floor(random() * 17))
        else if (action < 0.7) bytes = bytes.slice(0, at)
        else bytes = Uint8Array.from([...bytes.subarray(0, at), ...bytes.subarray(Math.floor(random() * (at + 1)))])
      }
      try {
        for (const shard of parseWeightMap(bytes, 'test').values())
          if (/[/\\]/.test(shard) || !shard.endsWith('.safetensors')) throw new Error(`index ${seed} leads to ${shard}`)
        accepted++
      } catch (error) {
        if (!(error instanceof TunesmithError) || error.code !== 'invalid_file') throw error
      }
    }
    expect(accepted).toBeGreaterThan(500)
    expect(accepted).toBeLessThan(15_000)
  })
})
