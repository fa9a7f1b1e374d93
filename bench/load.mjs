/**
 * Seconds and peak memory of loading a 2.2 GB bfloat16 checkpoint from the page cache, against transformers.
 * TinyLlama-1.1B's shape with random weights in one file. Every load has a process of its own; starting it and importing the library are
 * outside the measurement. Both map the file and leave reading it to the first use: the second case adds the first token.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { writeShardedSafetensors } from '@tunesmith/hub'
import { CausalLM, parseModelConfig } from '@tunesmith/models'
import { pythonVenv, row, runChild } from './lib/index.mjs'
import { median } from './lib/measure.mjs'
import { randomBf16, TINY_LLAMA } from './lib/random-model.mjs'

/** Names and shapes of a model's tensors: it is built out of nothing. */
function shapesOf(config) {
  const shapes = new Map()
  const note = (name, ...shape) => void shapes.set(name, shape)
  new CausalLM(parseModelConfig(config), { matrix: note, vector: note })
  return shapes
}

export async function writeCheckpoint(folder, config) {
  writeFileSync(join(folder, 'config.json'), JSON.stringify({ ...config, torch_dtype: 'bfloat16' }))
  let seed = 1
  const tensors = [...shapesOf(config)].map(([name, shape]) => ({
    name,
    dtype: 'BF16',
    shape,
    data: async () => {
      const size = shape.reduce((product, n) => product * n, 1)
      return new Uint8Array(
        shape.length === 1 ? new Uint16Array(size).fill(0x3f80).buffer : randomBf16(size, seed++).buffer,
      )
    },
  }))
  return (await writeShardedSafetensors(folder, tensors)).totalSize
}

export async function run({ rounds = 5, layers = TINY_LLAMA.num_hidden_layers, peer: withPeer = true } = {}) {
  const folder = mkdtempSync(join(tmpdir(), 'tunesmith-bench-'))
  try {
    const bytes = await writeCheckpoint(folder, {
      ...TINY_LLAMA,
      num_hidden_layers: layers,
      architectures: ['LlamaForCausalLM'],
    })
    const commands = { ours: [process.execPath, [new URL('load.ours.mjs', import.meta.url), folder]] }
    if (withPeer)
      commands.peer = [
        await pythonVenv(['torch', 'transformers', 'safetensors']),
        [new URL('load.peer.py', import.meta.url), folder],
      ]
    const seen = { ours: [], peer: [] }
    for (let round = -1; round < rounds; round++)
      for (const [name, [file, args]] of Object.entries(commands)) {
        const { stdout } = await runChild(file, args)
        if (round >= 0) seen[name].push(JSON.parse(stdout.trim().split('\n').at(-1)))
      }
    const middle = (name, key) => (seen[name].length > 0 ? median(seen[name].map((one) => one[key])) : undefined)
    const size = `${(bytes / 1e9).toFixed(2)} GB bf16`
    const line = (text, key, memory) =>
      row({
        case: `${size}, ${text}`,
        ours: middle('ours', key),
        peer: middle('peer', key),
        unit: 's',
        lowerIsBetter: true,
        oursMemory: middle('ours', memory),
        peerMemory: middle('peer', memory),
      })
    return { rows: [line('loaded', 'load', 'loadMemory'), line('loaded and first token', 'token', 'tokenMemory')] }
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}
