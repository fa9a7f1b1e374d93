import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openCheckpoint, type TensorToWrite, writeShardedSafetensors } from '@tunesmith/hub'
import { sharedPath } from '@tunesmith/tooling/shared'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { bitsandbytesParts, fromBitsandbytes, type StoredTensor } from './bitsandbytes'
import { quantizeCheckpoint } from './checkpoint'
import { quantizationConfigFromJson } from './config'
import { quantizationError } from './error'
import { differingBytes } from './fixtures/goldens'
import { numbers } from './fixtures/numbers'
import { fromFloat32, toFloat32 } from './floats'
import { dequantize4bit } from './four-bit/quantize'
import { dequantizeInt8 } from './int8'
import { plotErrors, reportToMarkdown } from './report'

let scratch: string
beforeAll(async () => {
  scratch = await mkdtemp(join(tmpdir(), 'quantization-'))
})
afterAll(() => rm(scratch, { recursive: true }))

const folder = sharedPath('goldens')

describe.skipIf(!folder)('beside checkpoints that transformers quantized', () => {
  const cases = [
    { kind: 'nf4', loadIn4bit: true, bnb4bitQuantType: 'nf4', bnb4bitUseDoubleQuant: true },
    { kind: 'fp4', loadIn4bit: true, bnb4bitQuantType: 'fp4', bnb4bitUseDoubleQuant: true },
    { kind: 'int8', loadIn8bit: true },
  ] as const

  test.each(cases)('dequantized weights of tiny-llama-$kind', async ({ kind }) => {
    const reader = await openCheckpoint(join(folder!, `tiny-llama-${kind}`))
    const logits = await openCheckpoint(join(folder!, `tiny-llama-${kind}`, 'logits.safetensors'))
    let compared = 0
    for (const name of reader.tensors.keys()) {
      const parts = bitsandbytesParts(name, (part) => reader.tensors.has(part))
      if (!parts) continue
      const tensors: Record<string, StoredTensor> = {}
      for (const part of parts) tensors[part] = { ...reader.tensors.get(part)!, data: await reader.read(part) }
      const quantized = fromBitsandbytes({ name, tensors })
      const values =
        quantized.kind === 'int8'
          ? dequantizeInt8({ quantized })
          : toFloat32(dequantize4bit({ quantized }), quantized.dtype)
      expect([name, differingBytes(values, await logits.read(`dequant.${name}`))]).toEqual([name, 0])
      compared++
    }
    expect(compared).toBe(21)
    await reader.close()
    await logits.close()
  })

  test('quantizing tiny-llama gives the tensors of tiny-llama-nf4', async () => {
    const out = join(scratch, 'tiny-llama-nf4')
    const { kind: _, ...config } = cases[0]
    await quantizeCheckpoint({ model: join(folder!, 'tiny-llama'), out, config, threads: 2 })
    const [ours, theirs] = [await openCheckpoint(out), await openCheckpoint(join(folder!, 'tiny-llama-nf4'))]
    expect([...ours.tensors.keys()].sort()).toEqual([...theirs.tensors.keys()].sort())
    for (const [name, { dtype, shape }] of theirs.tensors) {
      expect([name, ours.tensors.get(name)!.dtype, ours.tensors.get(name)!.shape]).toEqual([name, dtype, shape])
      expect([name, differingBytes(await ours.read(name), await theirs.read(name))]).toEqual([name, 0])
    }
    const parse = async (path: string) => JSON.parse(await readFile(join(path, 'config.json'), 'utf8'))
    expect(await parse(out)).toEqual(await parse(join(folder!, 'tiny-llama-nf4')))
    await ours.close()
    await theirs.close()
  })
})

async function makeModel(name: string, extra: TensorToWrite[] = []): Promise<string> {
  const bf16 = (tensor: string, shape: number[], seed: number): TensorToWrite => {
    const data = fromFloat32(
      numbers(
        shape.reduce((a, b) => a * b),
        seed,
        0.05,
      ),
      'bfloat16',
    )
    return { name: tensor, dtype: 'BF16', shape, data: new Uint8Array(data.buffer) }
  }
  const model = join(scratch, name)
  const tensors = [
    bf16('model.embed_tokens.weight', [50, 64], 1),
    bf16('model.layers.0.self_attn.q_proj.weight', [64, 64], 2),
    bf16('model.layers.0.mlp.up_proj.weight', [1100, 1000], 3),
    bf16('model.layers.1.self_attn.q_proj.weight', [7, 13], 4),
    bf16('model.norm.weight', [64], 5),
    bf16('lm_head.weight', [50, 64], 6),
  ]
  await writeShardedSafetensors(model, [...tensors, ...extra], { maxShardSize: 100_000 })
  await writeFile(join(model, 'config.json'), '{\n  "model_type": "llama",\n  "rope_theta": 10000.0\n}\n')
  await writeFile(join(model, 'tokenizer.json'), '{}')
  return model
}

test.each(['nf4', 'int8'] as const)('a sharded bf16 checkpoint to %s: layout, report, plot', async (format) => {
  const model = await makeModel(`model-${format}`)
  const out = join(scratch, `out-${format}`)
  const config = format === 'int8' ? { loadIn8bit: true } : { loadIn4bit: true, bnb4bitQuantType: format }
  const seen: string[] = []
  const report = await quantizeCheckpoint({ model, out, config, threads: 2, onProgress: ({ name }) => seen.push(name) })
  expect(seen).toHaveLength(6)
  expect((await readdir(out)).sort()).toEqual(['config.json', 'model.safetensors', 'tokenizer.json'])
  const written = await readFile(join(out, 'config.json'), 'utf8')
  expect(written).toContain('"rope_theta": 10000.0')
  expect(quantizationConfigFromJson(JSON.parse(written))).toMatchObject(config)

  const [before, after] = [await openCheckpoint(model), await openCheckpoint(out)]
  for (const name of ['model.embed_tokens.weight', 'model.norm.weight', 'lm_head.weight'])
    expect(differingBytes(await before.read(name), await after.read(name))).toBe(0)
  expect(report.layers.map(({ name }) => name).sort()).toEqual([
    'model.layers.0.mlp.up_proj.weight',
    'model.layers.0.self_attn.q_proj.weight',
    'model.layers.1.self_attn.q_proj.weight',
  ])
  for (const layer of report.layers) {
    const parts = bitsandbytesParts(layer.name, (part) => after.tensors.has(part))!
    const tensors: Record<string, StoredTensor> = {}
    for (const part of parts) tensors[part] = { ...after.tensors.get(part)!, data: await after.read(part) }
    const quantized = fromBitsandbytes({ name: layer.name, tensors })
    const data = new Uint16Array((await before.read(layer.name)).buffer as ArrayBuffer)
    const error = quantizationError({ data, dtype: 'bfloat16', quantized })
    expect(layer).toMatchObject(error)
    expect(error.relative).toBeLessThan(format === 'int8' ? 0.02 : 0.11)
  }
  expect(report.bytesAfter).toBeLessThan(report.bytesBefore * (format === 'int8' ? 0.6 : 0.4))
  expect(reportToMarkdown(report)).toMatch(/up_proj.weight \| 1100 x 1000 \| 2.2 MB -> .*\n/)
  const svg = plotErrors(report)
  expect(svg.match(/<title>/g)).toHaveLength(3)
  expect(svg).not.toMatch(/NaN|undefined/)
  await before.close()
  await after.close()
})

test('what cannot be done says so and leaves no checkpoint', async () => {
  const config = { loadIn4bit: true }
  const model = await makeModel('sound')
  const out = join(scratch, 'never')
  const broken = new Float32Array(64).fill(1)
  broken[17] = Number.NaN
  const name = 'model.layers.2.self_attn.q_proj.weight'
  const withNan = await makeModel('broken', [
    { name, dtype: 'F32', shape: [8, 8], data: new Uint8Array(broken.buffer) },
  ])
  const attempt = (options: object) => quantizeCheckpoint({ model, out, config, ...options })
  await expect(attempt({ model: withNan })).rejects.toThrow(/element 17 .*layers\.2/)
  await expect(attempt({ out: model })).rejects.toThrow(/This is what is read: .*sound/)
  await expect(attempt({ config: {} })).rejects.toThrow(/neither loadIn4bit/)
  await expect(attempt({ config: { loadIn4bit: true, llmInt8SkipModules: [''] } })).rejects.toThrow(/no tensor/)
  await expect(attempt({ model: scratch })).rejects.toThrow(/no config.json/)
  await expect(attempt({ signal: AbortSignal.abort() })).rejects.toMatchObject({ code: 'aborted' })
  await expect(readdir(out)).rejects.toThrow(/ENOENT/)
  await quantizeCheckpoint({ model, out, config })
  await expect(quantizeCheckpoint({ model: out, out: join(scratch, 'twice'), config })).rejects.toThrow(/already/)
})
