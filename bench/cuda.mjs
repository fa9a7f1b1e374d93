/**
 * Tokens per second and peak GPU memory of LoRA training (r = 16 on all seven linears, 2,048 packed tokens) and of decoding
 * on an NVIDIA GPU, against PyTorch + transformers + PEFT in bfloat16. Shapes of Llama-3.1-8B and TinyLlama-1.1B with random
 * weights; `--shapes=tinyllama` leaves the large one out. Needs a GPU: `npm run bench:cuda` builds, tests and runs this.
 *
 * Beside the speeds stand the share of the GPU's own ceiling: training against the largest matrix product measured here,
 * decoding against the copy bandwidth measured here.
 */
import { fileURLToPath } from 'node:url'
import { operationsTable, SHAPES } from './lib/cuda-shapes.mjs'
import { interleaved, pythonVenv, row, speedRow, startWorker } from './lib/index.mjs'

const fileOf = (name) => fileURLToPath(new URL(name, import.meta.url))

/** Elements of the linears of all layers, and of the head. */
function linearElements(c) {
  const headDim = c.hidden_size / c.num_attention_heads
  const attention = c.hidden_size * (2 * c.hidden_size + 2 * c.num_key_value_heads * headDim)
  const layers = c.num_hidden_layers * (attention + 3 * c.hidden_size * c.intermediate_size)
  return { layers, head: c.vocab_size * c.hidden_size }
}

/** Floating point operations of a LoRA step: forward and the gradient of x, no gradient of the frozen weights. */
function stepOperations(c, tokens) {
  const { layers, head } = linearElements(c)
  const attention = c.num_hidden_layers * c.hidden_size * tokens * tokens * (2 + 5)
  return 4 * tokens * (layers + head) + attention
}

export async function run({
  rounds = 5,
  shapes = 'llama-3.1-8b,tinyllama',
  tokens = 2048,
  decode = 128,
  peer: withPeer = true,
} = {}) {
  const rows = []
  let peer
  if (withPeer && withPeer !== 'false')
    peer = startWorker(await pythonVenv(['torch', 'transformers', 'peft']), [fileOf('cuda.peer.py')])
  for (const name of String(shapes).split(',')) {
    const config = SHAPES[name]
    const operations = stepOperations(config, tokens)
    // One process at a time: the peer's model and both of ours need not fit together.
    for (const format of ['bf16', 'nf4']) {
      const ours = startWorker(process.execPath, [fileOf('cuda.ours.mjs')])
      await ours.call({ call: 'prepare', config, format, r: 16 })
      if (peer && format === 'bf16') await peer.call({ call: 'prepare', config, r: 16 })
      const withThePeer = peer && format === 'bf16'
      const contenders = (call, message) => ({
        ours: async () => (await ours.call({ call, ...message })).seconds,
        ...(withThePeer && { peer: async () => (await peer.call({ call, ...message })).seconds }),
      })
      const seconds = await interleaved(contenders('step', { tokens }), { rounds, warmup: 2 })
      const memory = { oursMemory: (await ours.call({ call: 'memory' })).peakMemory }
      if (withThePeer) memory.peerMemory = (await peer.call({ call: 'memory' })).peakMemory
      const ceiling = (await ours.call({ call: 'ceiling', size: name === 'toy' ? 64 : 8192 })).operationsPerSecond
      const label = `${name} ${format}`
      rows.push(speedRow({ case: `${label}: LoRA step`, seconds, amount: tokens, unit: 'tokens/s', ...memory }))
      const speed = (time) => time && operations / time / 1e12
      rows.push(
        row({
          case: `${label}: LoRA step`,
          ours: speed(seconds.ours),
          peer: speed(seconds.peer),
          unit: `TFLOP/s, ours ${((100 * operations) / seconds.ours / ceiling).toFixed(0)}% of the ${(ceiling / 1e12).toFixed(0)} of a large product here`,
        }),
      )
      const times = await interleaved(contenders('decode', { prompt: 64, tokens: decode }), { rounds: 3, warmup: 1 })
      const bandwidth = (await ours.call({ call: 'bandwidth', bytes: name === 'toy' ? 2 ** 16 : 2 ** 30 }))
        .bytesPerSecond
      const { layers, head } = linearElements(config)
      const read = format === 'bf16' ? 2 * (layers + head) : 0.5625 * layers + 2 * head
      rows.push(
        speedRow({
          case: `${label}: decoding one sequence`,
          seconds: times,
          amount: decode,
          unit: `tokens/s, ours ${((100 * read * decode) / times.ours / bandwidth).toFixed(0)}% of the ${(bandwidth / 1e9).toFixed(0)} GB/s of a copy here`,
        }),
      )
      ours.close()
    }
  }
  peer?.close()
  return { rows }
}
