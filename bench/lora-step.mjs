/**
 * Tokens per second and peak memory of a LoRA training step, against PyTorch + transformers + PEFT in float32.
 * TinyLlama-1.1B's shape with random weights, r = 16 on q_proj and v_proj; forward, backward and AdamW. One sequence of
 * 512 tokens, then four of 80 to 400 tokens, which the peer pads to 512: four steps' work for it, so those rounds are fewer; ours packs them into two of up to 512.
 *
 * All processes stay up to take turns: 14 GB with the default weight formats. `--formats=f32,bf16,nf4` adds ours in float32,
 * 6 GB more.
 */
import { availableParallelism } from 'node:os'
import { fileURLToPath } from 'node:url'
import { interleaved, pythonVenv, speedRow, startWorker } from './lib/index.mjs'
import { TINY_LLAMA } from './lib/random-model.mjs'

const PADDED = 512
const fileOf = (name) => fileURLToPath(new URL(name, import.meta.url))

const sequenceOf = (length, seed) =>
  Array.from({ length }, (_, i) => 3 + (((Math.imul(i + 1, 40503) + seed * 7919) >>> 0) % (TINY_LLAMA.vocab_size - 3)))

export async function run({
  rounds = 3,
  formats = 'bf16,nf4',
  threads = availableParallelism(),
  layers = 22,
  peer: withPeer = true,
} = {}) {
  const config = { ...TINY_LLAMA, num_hidden_layers: layers }
  const names = String(formats).split(',')
  const workers = {}
  if (withPeer)
    workers.peer = startWorker(await pythonVenv(['torch', 'transformers', 'peft']), [fileOf('lora-step.peer.py')])
  for (const format of names) workers[format] = startWorker(process.execPath, [fileOf('lora-step.ours.mjs')])
  for (const [format, worker] of Object.entries(workers))
    await worker.call({ call: 'prepare', config, format, r: 16, threads })

  const cases = {
    '1 x 512 tokens': [sequenceOf(512, 1)],
    '80, 180, 290, 400 tokens': [80, 180, 290, 400].map(sequenceOf),
  }
  const rows = []
  for (const [name, sequences] of Object.entries(cases)) {
    const amount = sequences.reduce((sum, { length }) => sum + length, 0)
    const contenders = Object.fromEntries(
      Object.entries(workers).map(([key, worker]) => [
        key,
        async () => (await worker.call({ call: 'step', sequences, padTo: PADDED })).seconds,
      ]),
    )
    const isFirst = rows.length === 0
    const seconds = await interleaved(
      contenders,
      isFirst ? { rounds, warmup: 1 } : { rounds: rounds - 1 || 1, warmup: 0 },
    )
    const peerMemory = withPeer ? (await workers.peer.call({ call: 'memory' })).peakMemory : undefined
    for (const format of names)
      rows.push(
        speedRow({
          case: `${name}, ${format} weights`,
          seconds: { ours: seconds[format], peer: seconds.peer },
          amount,
          unit: 'tokens/s',
          oursMemory: (await workers[format].call({ call: 'memory' })).peakMemory,
          peerMemory,
        }),
      )
  }
  for (const worker of Object.values(workers)) worker.close()
  return { rows }
}
