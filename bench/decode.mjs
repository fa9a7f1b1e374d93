/**
 * Tokens per second of greedy decoding, one sequence, against transformers in float32 with its cache.
 * TinyLlama-1.1B's shape with random weights; the prompt is read before the clock starts.
 */
import { availableParallelism } from 'node:os'
import { fileURLToPath } from 'node:url'
import { interleaved, pythonVenv, speedRow, startWorker } from './lib/index.mjs'
import { TINY_LLAMA } from './lib/random-model.mjs'

const fileOf = (name) => fileURLToPath(new URL(name, import.meta.url))

export async function run({
  rounds = 5,
  formats = 'bf16,nf4',
  tokens = 48,
  prompt = 64,
  layers = TINY_LLAMA.num_hidden_layers,
  threads = availableParallelism(),
  peer: withPeer = true,
} = {}) {
  const config = { ...TINY_LLAMA, num_hidden_layers: layers }
  const names = String(formats).split(',')
  const workers = {}
  if (withPeer) workers.peer = startWorker(await pythonVenv(['torch', 'transformers']), [fileOf('decode.peer.py')])
  for (const format of names) workers[format] = startWorker(process.execPath, [fileOf('decode.ours.mjs')])
  for (const [format, worker] of Object.entries(workers))
    await worker.call({ call: 'prepare', config, format, threads })

  const ids = Array.from({ length: prompt }, (_, i) => 3 + ((i * 7919) % (config.vocab_size - 3)))
  const contenders = Object.fromEntries(
    Object.entries(workers).map(([key, worker]) => [
      key,
      async () => (await worker.call({ call: 'decode', ids, tokens })).seconds,
    ]),
  )
  const seconds = await interleaved(contenders, { rounds, warmup: 1 })
  const memory = async (worker) => (await worker?.call({ call: 'memory' }))?.peakMemory
  const rows = []
  for (const format of names)
    rows.push(
      speedRow({
        case: `${format} weights, ${tokens} tokens after ${prompt}`,
        seconds: { ours: seconds[format], peer: seconds.peer },
        amount: tokens,
        unit: 'tokens/s',
        oursMemory: await memory(workers[format]),
        peerMemory: await memory(workers.peer),
      }),
    )
  for (const worker of Object.values(workers)) worker.close()
  return { rows }
}
