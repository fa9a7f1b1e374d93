import { mkdtemp, readFile, rm, truncate, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { selectBackend } from '@tunesmith/backend'
import { isTunesmithError, Random } from '@tunesmith/core'
import { Tokenizer } from '@tunesmith/tokenization'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { createModel, exportGguf, type GgufHead, readGgufHead } from '../index'

let folder: string
let file: string
let head: GgufHead
beforeAll(async () => {
  await selectBackend()
  folder = await mkdtemp(join(tmpdir(), 'tunesmith-gguf-read-'))
  const tokenizer = await Tokenizer.fromPretrained(
    fileURLToPath(new URL('../fixtures/tokenizers/byte-level', import.meta.url)),
  )
  const model = createModel({
    ...{ model_type: 'llama', vocab_size: 340, hidden_size: 256, intermediate_size: 512, num_hidden_layers: 2 },
    ...{ num_attention_heads: 4, max_position_embeddings: 64 },
  })
  file = (
    await exportGguf(model, tokenizer, folder, {
      type: 'q4_k_m',
      name: 'Mine',
      card: { license: 'mit', baseModels: ['meta-llama/Llama-3.1-8B-Instruct', 'tiny-medic-v2'], languages: ['en'] },
    })
  ).file
  model.dispose()
  head = await readGgufHead(file)
})
afterAll(() => rm(folder, { recursive: true }))

it('reads what was written: metadata, names, types, shapes and places', async () => {
  expect(head.version).toBe(3)
  expect(head.metadata.get('general.name')).toBe('Mine')
  const general = (key: string) => head.metadata.get(`general.${key}`)
  expect(['license', 'languages', 'base_model.count'].map(general)).toEqual(['mit', ['en'], 2])
  expect(['name', 'organization', 'repo_url'].map((key) => general(`base_model.0.${key}`))).toEqual([
    'Llama 3.1 8B Instruct',
    'Meta Llama',
    'https://huggingface.co/meta-llama/Llama-3.1-8B-Instruct',
  ])
  expect(general('base_model.1.name')).toBe('Tiny Medic v2')
  expect(head.metadata.get('llama.block_count')).toBe(2)
  expect(head.metadata.get('tokenizer.ggml.tokens')).toHaveLength(340)
  expect(head.metadata.get('llama.attention.layer_norm_rms_epsilon')).toBeCloseTo(1e-6, 9)
  const byName = new Map(head.tensors.map((tensor) => [tensor.name, tensor]))
  expect(byName.get('token_embd.weight')).toMatchObject({ type: 'q4_k', shape: [340, 256], bytes: 340 * 144 })
  expect(byName.get('output.weight')).toMatchObject({ type: 'q6_k', bytes: 340 * 210 })
  expect(byName.get('blk.1.attn_norm.weight')).toMatchObject({ type: 'f32', shape: [256], bytes: 1024 })
  for (const { offset } of head.tensors) expect(offset % 32).toBe(0)
  const last = Math.max(...head.tensors.map(({ offset, bytes }) => offset + bytes!))
  expect(head.bytes - last).toBeLessThan(32)
})

/** A copy of the file, changed in place or into what is returned. */
const changed = async (change: (bytes: Buffer) => unknown) => {
  const bytes = await readFile(file)
  const place = join(folder, 'changed.gguf')
  const other = change(bytes)
  await writeFile(place, Buffer.isBuffer(other) ? other : bytes)
  return place
}

it('says what is wrong with a file, in one error each', async () => {
  await expect(readGgufHead(join(folder, 'absent.gguf'))).rejects.toMatchObject({ code: 'not_found' })
  await expect(readGgufHead(await changed(() => Buffer.from('GGU')))).rejects.toThrow(/no GGUF file/)
  await expect(readGgufHead(await changed((bytes) => bytes.write('GGML')))).rejects.toThrow(/no GGUF file/)
  await expect(readGgufHead(await changed((bytes) => bytes.writeUInt32LE(9, 4)))).rejects.toThrow(/version 9/)
  await expect(readGgufHead(await changed((bytes) => bytes.writeUInt32BE(3, 4)))).rejects.toThrow(/order of bytes/)
  await expect(readGgufHead(await changed((bytes) => bytes.writeBigUInt64LE(2n ** 60n, 8)))).rejects.toThrow(
    /number of tensors is/,
  )
  await expect(readGgufHead(await changed((bytes) => bytes.writeUInt32LE(2 ** 31, 16)))).rejects.toThrow(/announces/)
  const cut = await changed(() => undefined)
  await truncate(cut, head.bytes - 40)
  await expect(readGgufHead(cut)).rejects.toThrow(/ends too early: ".*" ends at/)
  await truncate(cut, 300)
  await expect(readGgufHead(cut)).rejects.toThrow(/ends too early/)
})

it('a damaged head gives an error of ours, never another one', async () => {
  const bytes = await readFile(file)
  const start = Math.min(...head.tensors.map(({ offset }) => offset))
  const random = new Random(24)
  let refused = 0
  for (let i = 0; i < 300; i++) {
    const copy = Buffer.from(bytes)
    for (let n = 0; n < 4; n++) copy[random.int(start)] = random.int(256)
    const place = join(folder, 'fuzzed.gguf')
    await writeFile(place, copy)
    try {
      await readGgufHead(place)
    } catch (error) {
      if (!isTunesmithError(error)) throw error
      refused++
    }
  }
  expect(refused).toBeGreaterThan(20)
})
