import { execFile } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { writeShardedSafetensors } from '@tunesmith/hub'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { tensorShapes } from './checkpoint-tensors'
import { parseModelConfig } from './config'

const run = promisify(execFile)
const child = fileURLToPath(new URL('testing/load-child.mjs', import.meta.url))
const config = {
  model_type: 'llama',
  vocab_size: 24000,
  hidden_size: 1024,
  intermediate_size: 4096,
  num_hidden_layers: 12,
  num_attention_heads: 16,
  torch_dtype: 'bfloat16',
}
let folder: string
let largest = 0

/** 0.6 GB of bfloat16: what the program itself takes is then small beside it. */
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tunesmith-load-'))
  await writeFile(join(folder, 'config.json'), JSON.stringify(config))
  // From 0.0078 to 0.998, so that quantizing has something to do.
  const numbers = Uint16Array.from({ length: 24000 * 1024 }, (_, i) => 0x3c00 + (i % 896))
  const pattern = new Uint8Array(numbers.buffer)
  const tensors = [...tensorShapes(parseModelConfig(config))].map(([name, shape]) => {
    const size = shape.reduce((product, n) => product * n, 1)
    largest = Math.max(largest, size * 2)
    const data = async () => pattern.subarray(0, size * 2)
    return { name, dtype: 'BF16' as const, shape, data }
  })
  await writeShardedSafetensors(folder, tensors, { maxShardSize: '100MB' })
})
afterAll(() => rm(folder, { recursive: true }))

const notLinux = process.platform !== 'linux'
if (notLinux) console.log('skipped: the kernel high-water mark is read from /proc, which only Linux has')

async function measured(name: string, options: object): Promise<{ peak: number; loaded: number }> {
  const { stdout } = await run(process.execPath, [child, folder, JSON.stringify(options)])
  const { peak, loaded } = JSON.parse(stdout.trim().split('\n').at(-1)!)
  console.log(`${name}: peak ${(peak / 2 ** 20) | 0} MiB, weights ${(loaded / 2 ** 20) | 0} MiB`)
  return { peak, loaded }
}

describe('memory at the peak of loading', () => {
  for (const [name, options] of [
    ['bfloat16 shards read', { mmap: false }],
    [
      'quantized to 4 bits on the way',
      { mmap: false, quantizationConfig: { loadIn4bit: true, bnb4bitQuantType: 'nf4' } },
    ],
    ['quantized to 8 bits on the way', { mmap: false, quantizationConfig: { loadIn8bit: true } }],
  ] as const)
    it.skipIf(notLinux)(`${name}: at most 1.1 times the loaded weights and one tensor`, async () => {
      const { peak, loaded } = await measured(name, options)
      // The mark must have moved by what was loaded, else it measures nothing.
      expect(peak).toBeGreaterThan(0.8 * loaded)
      expect(peak).toBeLessThanOrEqual(1.1 * loaded + largest)
    })

  it.skipIf(notLinux)('weights that are used in place in their files take none', async () => {
    const { peak, loaded } = await measured('bfloat16 shards in place', {})
    expect(peak).toBeLessThan(0.1 * loaded)
  })
})
