/**
 * Tokens per second and peak GPU memory of LoRA training (r = 16 on all seven linears, 2,048 packed tokens) and of decoding
 * on an NVIDIA GPU, against PyTorch + transformers + PEFT in bfloat16. Shapes of Llama-3.1-8B and TinyLlama-1.1B with random
 * weights; `--shapes=tinyllama` leaves the large one out. Needs a GPU: `npm run bench:cuda` builds, tests and runs this.
 *
 * Beside the speeds stand the share of the GPU's own ceiling: training against the largest matrix product measured here,
 * decoding against the copy bandwidth measured here. Then, from one more step under the profiler, what a step moves and
 * where its time goes. To try this file on the emulator: TUNESMITH_CUDA_EMULATE=1, --shapes=toy --peer=false --tokens=48
 * --decode=4.
 */
import { SHAPES } from './lib/cuda-shapes.mjs'
import { operationsTable } from './lib/cuda-tables.mjs'
import { interleaved, pythonVenv, row, speedRow, startWorker } from './lib/index.mjs'

/** Ways to train; the peer has a side in the first. */
const VARIANTS = [
  { format: 'bf16', optim: 'adamw' },
  { format: 'nf4', optim: 'adamw' },
  { format: 'nf4', optim: 'paged_adamw_8bit', gradientCheckpointing: true },
]

/** Bytes of the weights that one token of decoding reads. */
function weightBytes(c, format) {
  const headDim = c.hidden_size / c.num_attention_heads
  const attention = c.hidden_size * (2 * c.hidden_size + 2 * c.num_key_value_heads * headDim)
  const layers = c.num_hidden_layers * (attention + 3 * c.hidden_size * c.intermediate_size)
  return (format === 'bf16' ? 2 : 0.5625) * layers + 2 * c.vocab_size * c.hidden_size
}

/**
 * @param options `onRow(row)` and `onDetail(title, text)` are told of each row and each table of operations when it is there
 */
export async function run({
  rounds = 5,
  shapes = 'llama-3.1-8b,tinyllama',
  tokens = 2048,
  decode = 128,
  peer: withPeer = true,
  onRow = () => {},
  onDetail = (title, text) => console.log(`\n${title}\n${text}`),
} = {}) {
  const rows = []
  const add = (made) => {
    rows.push(made)
    onRow(made)
  }
  let peer
  if (withPeer && withPeer !== 'false')
    peer = startWorker(await pythonVenv(['torch', 'transformers', 'peft']), [new URL('cuda.peer.py', import.meta.url)])
  for (const name of String(shapes).split(',')) {
    const config = SHAPES[name]
    const toy = name === 'toy'
    for (const variant of VARIANTS) {
      const { format, gradientCheckpointing = false } = variant
      const label = `${name} ${format}${gradientCheckpointing ? ', checkpointing, paged 8-bit AdamW' : ''}`
      // One process at a time: the peer's model and all of ours need not fit together.
      const ours = startWorker(process.execPath, [new URL('cuda.ours.mjs', import.meta.url)])
      await ours.call({ call: 'prepare', config, r: 16, ...variant })
      const withThePeer = peer && variant === VARIANTS[0]
      if (withThePeer) await peer.call({ call: 'prepare', config, r: 16 })
      const contenders = (call, message) => ({
        ours: async () => (await ours.call({ call, ...message })).seconds,
        ...(withThePeer && { peer: async () => (await peer.call({ call, ...message })).seconds }),
      })

      const seconds = await interleaved(contenders('step', { tokens }), { rounds, warmup: 2 })
      const memory = { oursMemory: (await ours.call({ call: 'memory' })).peakMemory }
      if (withThePeer) memory.peerMemory = (await peer.call({ call: 'memory' })).peakMemory
      add(speedRow({ case: `${label}: LoRA step`, seconds, amount: tokens, unit: 'tokens/s', ...memory }))

      const speeds = {
        flops: (await ours.call({ call: 'ceiling', size: toy ? 64 : 8192 })).operationsPerSecond,
        bytes: (await ours.call({ call: 'bandwidth', bytes: toy ? 2 ** 16 : 2 ** 30 })).bytesPerSecond,
      }
      const step = await ours.call({ call: 'profile', tokens })
      const percent = ((100 * step.flops) / seconds.ours / speeds.flops).toFixed(0)
      const speed = (time) => time && step.flops / time / 1e12
      add(
        row({
          case: `${label}: LoRA step`,
          ours: speed(seconds.ours),
          peer: speed(seconds.peer),
          unit: `TFLOP/s, ours ${percent}% of the ${(speeds.flops / 1e12).toFixed(0)} of a large product here`,
        }),
      )
      add(
        row({
          case: `${label}: LoRA step`,
          ours: step.bytes / 1e9,
          unit: `GB moved, by counting; ${step.launches} launches`,
        }),
      )
      const clock =
        step.seconds > 0 ? `${(1000 * step.wall).toFixed(1)} ms under the profiler` : 'no clock: by counting'
      onDetail(`${label}: one step, ${clock}`, operationsTable(step, { wall: step.wall, speeds }))

      // Checkpointing has no part in decoding.
      if (!gradientCheckpointing) {
        const times = await interleaved(contenders('decode', { prompt: 64, tokens: decode }), { rounds: 3, warmup: 1 })
        const share = ((100 * weightBytes(config, format) * decode) / times.ours / speeds.bytes).toFixed(0)
        const unit = `tokens/s, ours ${share}% of the ${(speeds.bytes / 1e9).toFixed(0)} GB/s of a copy here`
        add(speedRow({ case: `${label}: decoding one sequence`, seconds: times, amount: decode, unit }))
      }
      ours.close()
    }
  }
  peer?.close()
  return { rows }
}
