/**
 * Tokens per second and peak memory of a LoRA training step, against PyTorch + transformers + PEFT in float32 and in bf16.
 * TinyLlama-1.1B's shape with random weights, r = 16 on q_proj and v_proj; forward, backward and AdamW. One sequence of 512 tokens; one
 * of which only the last third is labelled; and four of 80 to 400 tokens, which ours packs into two of up to 512. The peer reads several
 * sequences in the fastest of the ways there are (lora-step.peer.py), found in the warm-up; memory is the peak of the steps after it.
 *
 * All processes stay up to take turns: 18 GB with the default formats. `--formats=f32` adds 6 GB for each more; `--peers=bf16`
 * leaves the peer in float32 out, `--peers=` both.
 */
import { availableParallelism } from 'node:os'
import { interleaved, pythonVenv, speedRow, startWorker } from './lib/index.mjs'
import { TINY_LLAMA } from './lib/random-model.mjs'

const sequenceOf = (length, seed) =>
  Array.from({ length }, (_, i) => 3 + (((Math.imul(i + 1, 40503) + seed * 7919) >>> 0) % (TINY_LLAMA.vocab_size - 3)))

/** `unlabelled` counts the tokens at the start of each sequence that are no labels, as those of a prompt. */
const CASES = {
  '1 x 512 tokens': { sequences: [sequenceOf(512, 1)], unlabelled: 0 },
  '1 x 512, a third labelled': { sequences: [sequenceOf(512, 1)], unlabelled: 342 },
  '80, 180, 290, 400 tokens': { sequences: [80, 180, 290, 400].map(sequenceOf), unlabelled: 0 },
}

const list = (text) => String(text).split(',').filter(Boolean)

export async function run({
  rounds = 3,
  formats = 'bf16,nf4',
  peers: dtypes = 'float32,bf16',
  threads = availableParallelism(),
  layers = 22,
} = {}) {
  const config = { ...TINY_LLAMA, num_hidden_layers: layers }
  const start = async (format, file, ...script) => {
    const worker = startWorker(file, script)
    await worker.call({ call: 'prepare', config, format, r: 16, threads })
    return worker
  }
  const ours = {}
  for (const format of list(formats))
    ours[format] = await start(format, process.execPath, new URL('lora-step.ours.mjs', import.meta.url))
  const peers = {}
  for (const dtype of list(dtypes)) {
    const python = await pythonVenv(['torch', 'transformers', 'peft', 'trl==1.13.0'])
    peers[`torch ${dtype}`] = await start(dtype, python, new URL('lora-step.peer.py', import.meta.url))
  }
  const workers = Object.entries({ ...ours, ...peers })

  const rows = []
  for (const [name, { sequences, unlabelled }] of Object.entries(CASES)) {
    const ways = {}
    const step = async ([key, worker]) => {
      const { seconds, way } = await worker.call({ call: 'step', sequences, unlabelled })
      ways[key] = way ? `${key}, ${way}` : key
      return seconds
    }
    for (const each of workers) {
      await step(each)
      each[1].resetPeakMemory()
    }
    const contenders = Object.fromEntries(workers.map((each) => [each[0], () => step(each)]))
    const seconds = await interleaved(contenders, { rounds, warmup: 0 })
    const byWay = (value) =>
      Object.fromEntries(Object.entries(peers).map(([key, worker]) => [ways[key], value(key, worker)]))
    for (const [format, worker] of Object.entries(ours))
      rows.push(
        speedRow({
          case: `${name}, ${format} weights`,
          seconds: { ours: seconds[format] },
          peers: byWay((key) => seconds[key]),
          peersMemory: byWay((_, peer) => peer.peakMemory()),
          amount: sequences.reduce((sum, { length }) => sum + length, 0),
          unit: 'tokens/s',
          oursMemory: worker.peakMemory(),
        }),
      )
  }
  for (const [, worker] of workers) worker.close()
  return { rows }
}
