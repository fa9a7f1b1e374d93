/**
 * Peak memory of quantizing a 2.2 GB bfloat16 checkpoint to NF4 while it loads, against the size of the result plus two tensors.
 * TinyLlama-1.1B's shape with random weights; the head and the embeddings stay in bfloat16, as with bitsandbytes.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { row, runChild } from './lib/index.mjs'
import { median } from './lib/measure.mjs'
import { TINY_LLAMA } from './lib/random-model.mjs'
import { writeCheckpoint } from './load.mjs'

export async function run({ rounds = 3, layers = TINY_LLAMA.num_hidden_layers } = {}) {
  const folder = mkdtempSync(join(tmpdir(), 'tunesmith-bench-'))
  try {
    const config = { ...TINY_LLAMA, num_hidden_layers: layers, architectures: ['LlamaForCausalLM'] }
    const bytes = await writeCheckpoint(folder, config)
    const seen = []
    for (let round = 0; round < rounds; round++) {
      const { stdout } = await runChild(process.execPath, [new URL('quantize-load.ours.mjs', import.meta.url), folder])
      seen.push(JSON.parse(stdout.trim().split('\n').at(-1)))
    }
    const { quantized, largest } = seen[0]
    const [peak, seconds] = ['peak', 'seconds'].map((key) => median(seen.map((one) => one[key])))
    return {
      rows: [
        row({
          case: `${(bytes / 1e9).toFixed(2)} GB bf16 to NF4 in ${seconds.toFixed(1)} s, peak / result + 2 tensors`,
          ours: peak / 1e9,
          peer: (quantized + 2 * largest) / 1e9,
          unit: 'GB',
          lowerIsBetter: true,
        }),
      ],
    }
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}
