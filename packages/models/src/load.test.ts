import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { selectBackend } from '@tunesmith/backend'
import { type TensorToWrite, writeShardedSafetensors } from '@tunesmith/hub'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { createModel, loadModel, modelTensors } from './index'

const config = {
  model_type: 'llama',
  vocab_size: 16,
  hidden_size: 8,
  intermediate_size: 12,
  num_hidden_layers: 1,
  num_attention_heads: 2,
}
let folder: string
let tensors: TensorToWrite[]

beforeAll(async () => {
  await selectBackend()
  folder = await mkdtemp(join(tmpdir(), 'tunesmith-load-'))
  await writeFile(join(folder, 'config.json'), JSON.stringify(config))
  tensors = [...modelTensors(createModel(config), 'float32')]
})
afterAll(() => rm(folder, { recursive: true }))

it('names every tensor that is missing, left over or of another shape', async () => {
  const written = tensors
    .filter(({ name }) => name !== 'model.layers.0.mlp.up_proj.weight')
    .map((tensor) => (tensor.name === 'model.norm.weight' ? { ...tensor, shape: [2, 4] } : tensor))
  const extra: TensorToWrite = { name: 'model.vision.weight', dtype: 'F32', shape: [1], data: new Uint8Array(4) }
  await writeShardedSafetensors(folder, [...written, extra])
  await expect(loadModel(folder)).rejects.toMatchObject({
    code: 'incompatible',
    message: expect.stringMatching(
      /missing: model\.layers\.0\.mlp\.up_proj\.weight; not expected: model\.vision\.weight; wrong shape: model\.norm\.weight is \[2,4\] instead of \[8\]/,
    ),
  })
})

it('reads over what old checkpoints carry, counts what it has read, and refuses a dtype it cannot compute with', async () => {
  const old: TensorToWrite = {
    name: 'model.layers.0.self_attn.rotary_emb.inv_freq',
    dtype: 'F32',
    shape: [2],
    data: new Uint8Array(8),
  }
  await writeShardedSafetensors(folder, [...tensors, old])
  const seen: number[][] = []
  const model = await loadModel(folder, { onProgress: (loaded, total) => seen.push([loaded, total]) })
  expect(seen.at(-1)).toEqual([tensors.length, tensors.length])
  expect(seen.map(([loaded]) => loaded)).toEqual(tensors.map((_, i) => i + 1))
  model.dispose()

  const eight = tensors.map(
    (tensor): TensorToWrite =>
      tensor.name === 'lm_head.weight' ? { ...tensor, dtype: 'F8_E4M3', data: new Uint8Array(16 * 8) } : tensor,
  )
  await writeShardedSafetensors(folder, eight)
  await expect(loadModel(folder)).rejects.toMatchObject({ code: 'unsupported', message: /lm_head\.weight.*F8_E4M3/s })
})
