import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { mkdtemp, readdir, readFile, rm, stat, utimes, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { originals, withPip } from '../fixtures/python'
import { openCheckpoint } from './checkpoint'
import { safetensorsDtypes, tensorByteLength } from './dtype'
import { openSafetensors } from './file'
import { type TensorToWrite, writeSafetensors } from './write'
import { planShards, writeShardedSafetensors } from './write-sharded'

let folder: string
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tunesmith-write-'))
})
afterEach(() => rm(folder, { recursive: true, force: true }))

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
const path = () => join(folder, 'a.safetensors')
const sharded = ['model-00001-of-00002.safetensors', 'model-00002-of-00002.safetensors', 'model.safetensors.index.json']

describe('writeSafetensors', () => {
  it('writes what openSafetensors reads: whole, into memory, by rows', async () => {
    await writeSafetensors(path(), [tensor('a', [3, 2]), tensor('b', [0, 5]), tensor('c', [], 9)], {
      metadata: { format: 'pt' },
    })
    const file = await openSafetensors(path())
    expect(file.metadata).toEqual({ format: 'pt' })
    const a = await file.read('a')
    expect([a.byteOffset, a.buffer.byteLength]).toEqual([0, 24])
    expect(a).toEqual(bytes(24))
    const target = new Float32Array(8)
    await file.readInto('a', target.subarray(1, 7))
    expect(new Uint8Array(target.buffer, 4, 24)).toEqual(bytes(24))
    expect(await file.readRows('a', 1, 3)).toEqual(bytes(24).subarray(8))
    expect((await file.readRows('a', 2, 2)).length).toBe(0)
    expect(await file.read('c')).toEqual(bytes(4, 9))
    expect((await file.read('b')).length).toBe(0)
    await expect(file.read('d')).rejects.toMatchObject({ code: 'not_found' })
    await expect(file.readInto('a', new Uint8Array(23))).rejects.toMatchObject({ code: 'invalid_options' })
    for (const [start, end] of [
      [-1, 1],
      [0, 4],
      [2, 1],
      [0, 1.5],
    ] as const)
      await expect(file.readRows('a', start, end)).rejects.toMatchObject({ code: 'invalid_options' })
    await file.close()
  })

  it('takes tensors one at a time from an async generator, and their bytes when their turn comes', async () => {
    let inMemory = 0
    async function* tensors(): AsyncGenerator<TensorToWrite> {
      for (const name of ['b', 'a'])
        yield {
          ...tensor(name, [2]),
          data: async () => {
            expect(++inMemory).toBe(name === 'a' ? 1 : 2)
            return bytes(8, name.charCodeAt(0))
          },
        }
    }
    await writeSafetensors(path(), tensors())
    const file = await openSafetensors(path())
    expect(await file.read('b')).toEqual(bytes(8, 98))
    await file.close()
  })

  it.each<[string, TensorToWrite[], object | undefined]>([
    ['two tensors of one name', [tensor('a', [1]), tensor('a', [2])], undefined],
    ['bytes that do not fit the shape', [{ ...tensor('a', [1]), shape: [2] }], undefined],
    ['late bytes that do not fit', [{ ...tensor('a', [1]), data: () => bytes(5) }], undefined],
    ['an impossible shape', [{ ...tensor('a', [1]), shape: [-1] }], undefined],
    ['half a byte', [{ name: 'a', dtype: 'F4', shape: [3], data: bytes(2) }], undefined],
    ['an unknown dtype', [{ ...tensor('a', [1]), dtype: 'F31' as 'F32' }], undefined],
    ['a reserved name', [tensor('__metadata__', [1])], undefined],
    ['a name that is no Unicode', [tensor('\ud800', [1])], undefined],
    ['metadata that is no text', [tensor('a', [1])], { metadata: { epoch: 3 } }],
    [
      'typed arrays of other kinds',
      [{ ...tensor('a', [1]), data: new Float32Array(1) as unknown as Uint8Array }],
      undefined,
    ],
  ])('refuses %s, and leaves the old file as it was', async (_, tensors, options) => {
    await writeSafetensors(path(), [tensor('old', [1])])
    const before = await readFile(path())
    await expect(writeSafetensors(path(), tensors, options as undefined)).rejects.toMatchObject({
      code: 'invalid_options',
    })
    expect(await readFile(path())).toEqual(before)
    expect(await readdir(folder)).toEqual(['a.safetensors'])
  })
})

describe('writeShardedSafetensors', () => {
  const three = (seed: number) => [tensor('x', [4], seed), tensor('y', [2], seed + 1), tensor('z', [2], seed + 2)]
  const read = async () => {
    const checkpoint = await openCheckpoint(folder)
    const found = [...checkpoint.tensors.keys()].sort()
    const first = (await checkpoint.read('x'))[0]
    await checkpoint.close()
    return [found.join(''), first]
  }

  it('splits in the given order, with an index that names each', async () => {
    const { files, totalSize } = await writeShardedSafetensors(folder, three(1), { maxShardSize: 16 })
    expect(files).toEqual(sharded)
    expect(totalSize).toBe(32)
    const index = JSON.parse(await readFile(join(folder, 'model.safetensors.index.json'), 'utf8'))
    expect(index).toEqual({
      metadata: { total_size: 32 },
      weight_map: { x: sharded[0], y: sharded[1], z: sharded[1] },
    })
    expect(await read()).toEqual(['xyz', 1])
  })

  it('changes between one file and several, more and fewer, and leaves nothing behind', async () => {
    await writeFile(join(folder, 'config.json'), '{}')
    await writeFile(join(folder, 'model-of-mine.safetensors'), 'not ours')
    const kept = ['config.json', 'model-of-mine.safetensors']
    for (const [seed, maxShardSize, files] of [
      [1, '1KB', ['model.safetensors']],
      [2, 16, sharded],
      [3, 8, 4],
      [4, 16, sharded],
      [5, 16, sharded],
      [6, '5GB', ['model.safetensors']],
    ] as const) {
      const abandoned = join(folder, '.model.safetensors.0123456789ab.tmp')
      await writeFile(abandoned, 'killed long ago')
      await utimes(abandoned, 1, 1)
      await writeShardedSafetensors(folder, three(seed), { maxShardSize })
      expect(await read()).toEqual(['xyz', seed])
      const there = (await readdir(folder)).filter((name) => !kept.includes(name)).sort()
      if (files === 4) expect(there.length).toBe(4)
      else expect(there).toEqual(files)
    }
  })

  it('leaves the old checkpoint when a tensor cannot be made', async () => {
    await writeShardedSafetensors(folder, three(1), { maxShardSize: 16 })
    const broken = [
      ...three(2),
      {
        ...tensor('w', [4]),
        data: () => {
          throw new Error('out of luck')
        },
      },
    ]
    await expect(writeShardedSafetensors(folder, broken, { maxShardSize: 16 })).rejects.toThrow('out of luck')
    expect(await read()).toEqual(['xyz', 1])
    expect((await readdir(folder)).sort()).toEqual(sharded)
  })

  it('takes other names, sizes as text, and no tensors at all', async () => {
    await writeShardedSafetensors(folder, three(1), { baseName: 'adapter_model', maxShardSize: '0.016 KB' })
    expect((await readdir(folder)).length).toBe(3)
    const adapter = await openCheckpoint(folder, { baseName: 'adapter_model' })
    expect(adapter.metadata).toEqual({ format: 'pt' })
    await adapter.close()
    await writeShardedSafetensors(folder, [])
    const empty = await openCheckpoint(folder)
    expect(empty.tensors.size).toBe(0)
    await empty.close()
    for (const maxShardSize of ['5 bananas', 0, -1, Number.NaN, ''])
      await expect(writeShardedSafetensors(folder, [], { maxShardSize })).rejects.toMatchObject({
        code: 'invalid_options',
      })
  })

  it('plans shards as huggingface_hub does', () => {
    const plan = (sizes: number[], limit: number) =>
      planShards(
        sizes.map((byteLength) => ({ byteLength })),
        limit,
      ).map((shard) => shard.map((each) => each.byteLength))
    expect(plan([3, 3, 3, 20, 3, 5, 5], 10)).toEqual([[20], [3, 3, 3], [3, 5], [5]])
    expect(plan([10, 1], 10)).toEqual([[10], [1]])
  })
})

describe('beside the original', () => {
  it('writes byte for byte what Python writes, and Python reads our shards', withPip, async (context) => {
    const { python, reason } = await originals()
    if (!python) return context.skip(reason)
    const names = ['b', 'a', 'ü', '😀', 'Z', '￿', 'x"y\\\n\u0001', '10', '9', 'a.b', 'é/ö']
    const tensors: TensorToWrite[] = []
    for (const [index, dtype] of safetensorsDtypes.entries())
      for (const shape of [[4, 2], [], [0, 2], [8]]) {
        const size = tensorByteLength(dtype, shape)
        if (size === undefined) continue
        const name = `${names[(index + tensors.length) % names.length]}${tensors.length % 5}${dtype}`
        if (tensors.some((each) => each.name === name)) continue
        tensors.push({ name, dtype, shape, data: bytes(size, index) })
      }
    // One entry: the original writes several in random order.
    const metadata = { 'k"ey': 'välue\n' }
    await writeSafetensors(path(), tensors, { metadata })
    const script = `
import json, sys, hashlib, numpy as np, safetensors
tensors, metadata = json.load(sys.stdin)
def name(dtype): return {'BOOL':'bool','U8':'uint8','I8':'int8','U16':'uint16','I16':'int16','U32':'uint32','I32':'int32','U64':'uint64','I64':'int64','F16':'float16','BF16':'bfloat16','F32':'float32','F64':'float64','C64':'complex64','F4':'float4_e2m1fn_x2','F8_E4M3':'float8_e4m3fn','F8_E5M2':'float8_e5m2','F8_E8M0':'float8_e8m0fnu','F8_E4M3FNUZ':'float8_e4m3fnuz','F8_E5M2FNUZ':'float8_e5m2fnuz'}.get(dtype)
def shape(t):
    s = list(t['shape'])
    if t['dtype'] == 'F4' and s: s[-1] //= 2
    return s
kept = {t['name']: np.array(t['data'], np.uint8) for t in tensors}
data = {t['name']: safetensors.TensorSpec(dtype=name(t['dtype']), shape=shape(t), data_ptr=kept[t['name']].ctypes.data, data_len=len(t['data'])) for t in tensors}
blob = safetensors.serialize(data, metadata)
print(json.dumps([hashlib.sha256(blob).hexdigest(), sorted(data)]))`
    const known = tensors.filter(
      ({ dtype, shape }) => !dtype.startsWith('F6') && !(dtype === 'F4' && shape.length === 0),
    )
    const input = JSON.stringify([known.map((each) => ({ ...each, data: [...(each.data as Uint8Array)] })), metadata])
    const run = promisify(execFile)(python, ['-c', script])
    run.child.stdin!.end(input)
    const [digest, written] = JSON.parse((await run).stdout) as [string, string[]]
    expect(written.length).toBe(known.length)
    await writeSafetensors(path(), known, { metadata })
    expect(
      createHash('sha256')
        .update(await readFile(path()))
        .digest('hex'),
    ).toBe(digest)

    const three = [tensor('x', [4]), tensor('y', [2], 3), tensor('z', [2], 5)]
    await writeShardedSafetensors(folder, three, { maxShardSize: 16 })
    const reading = `
import json, sys
from safetensors import safe_open
index = json.load(open(sys.argv[1] + '/model.safetensors.index.json'))
out = {}
for key, shard in index['weight_map'].items():
    with safe_open(sys.argv[1] + '/' + shard, 'np') as f: out[key] = list(f.get_tensor(key).tobytes()); assert f.metadata() == {'format': 'pt'}
print(json.dumps(out))`
    const { stdout } = await promisify(execFile)(python, ['-c', reading, folder])
    expect(JSON.parse(stdout)).toEqual(
      Object.fromEntries(three.map(({ name, data }) => [name, [...(data as Uint8Array)]])),
    )
  })

  it('reads and writes files larger than one read', async () => {
    const size = 70 * 2 ** 20
    const big = new Uint8Array(size)
    for (let i = 0; i < size; i += 4099) big[i] = i % 251
    await writeSafetensors(path(), [{ name: 'big', dtype: 'U8', shape: [70, 2 ** 20], data: big }])
    expect((await stat(path())).size).toBeGreaterThan(size)
    const file = await openSafetensors(path())
    expect(Buffer.from(await file.read('big')).equals(big)).toBe(true)
    expect(Buffer.from(await file.readRows('big', 63, 66)).equals(big.subarray(63 * 2 ** 20, 66 * 2 ** 20))).toBe(true)
    await file.close()
  })
})
