/**
 * Pairs per second and peak memory of DPO with LoRA, against TRL's DPOTrainer + PEFT in float32 and in bf16; and what a step costs
 * against a supervised one of the same tokens. TinyLlama-1.1B's shape with random weights and four layers, then all 22; r = 16 on q_proj and
 * v_proj; pairs whose sides have 80 to 400 tokens. Both train as their users do, by the trainer's own `train()`: whole runs from the rows on,
 * references and all, and steps alone, with the references computed before (our default) or in the step (TRL's). Tokens of a prompt are
 * computed once for both answers by ours and twice by TRL. The peer takes four pairs at once or one by one, its
 * references before training or with each batch, without gradient checkpointing: the fastest counts.
 *
 * All processes stay up to take turns: 16 GB with 22 layers. `--layers=4` leaves the whole model out, `--peers=bf16` the peer in float32.
 */
import { availableParallelism } from 'node:os'
import { interleaved, pythonVenv, row, speedRow, startWorker } from './lib/index.mjs'
import { TINY_LLAMA } from './lib/random-model.mjs'

/** Words, one token each. */
const WORDS = 5000
const words = (count, seed) =>
  Array.from({ length: count }, (_, i) => `w${((Math.imul(i + 1, 40503) + seed * 7919) >>> 0) % WORDS}`).join(' ')

/** Tokens of a prompt, the chosen and the rejected answer. */
const LENGTHS = [
  [60, 20, 60],
  [90, 70, 140],
  [150, 150, 100],
  [180, 170, 220],
]
const PAIRS = 4
const STEPS = 3
const rows = Array.from({ length: STEPS * PAIRS }, (_, i) => {
  const [prompt, chosen, rejected] = LENGTHS[i % PAIRS]
  return {
    prompt: words(prompt, i),
    chosen: ` ${words(chosen, i + 100)}`,
    rejected: ` ${words(rejected, i + 200)}`,
  }
})

const list = (text) => String(text).split(',').filter(Boolean)

async function ofDepth(layers, { rounds, formats, dtypes, threads, atOnce }) {
  const config = { ...TINY_LLAMA, num_hidden_layers: layers }
  const start = async (format, file, script) => {
    const worker = startWorker(file, [new URL(script, import.meta.url)])
    await worker.call({
      call: 'prepare',
      config,
      format,
      words: WORDS,
      rows,
      steps: STEPS,
      pairs: PAIRS,
      threads,
      atOnce,
    })
    return worker
  }
  const ours = {}
  for (const format of formats) ours[format] = await start(format, process.execPath, 'preference.ours.mjs')
  const peers = {}
  for (const dtype of dtypes) {
    const python = await pythonVenv(['torch', 'transformers', 'peft', 'trl==1.13.0'])
    peers[`TRL ${dtype}`] = await start(dtype, python, 'preference.peer.py')
  }
  /** Of the last call of each worker. */
  const answers = {}
  const task = (name, worker, method) => async () => {
    const answer = await worker.call({ call: 'train', method })
    answers[`${name} ${method}`] = answer
    return answer.seconds
  }
  const stepSeconds = {}
  const keep = (key, contender) => async () => {
    const seconds = await contender()
    stepSeconds[key] = [...(stepSeconds[key] ?? []), answers[key].step]
    return seconds
  }
  const contenders = {}
  for (const [name, worker] of Object.entries(ours))
    for (const method of ['dpo', 'sft'])
      contenders[`${name} ${method}`] = keep(`${name} ${method}`, task(name, worker, method))
  for (const [name, worker] of Object.entries(peers))
    for (const method of ['precomputed', 'in the step'])
      contenders[`${name} ${method}`] = keep(`${name} ${method}`, task(name, worker, method))
  for (const [name, contender] of Object.entries(contenders)) {
    await contender()
    delete stepSeconds[name]
  }
  for (const worker of [...Object.values(ours), ...Object.values(peers)]) worker.resetPeakMemory()
  const whole = await interleaved(contenders, { rounds, warmup: 0 })
  const step = Object.fromEntries(Object.entries(stepSeconds).map(([key, all]) => [key, Math.min(...all)]))
  const ofPeers = (values, ways) =>
    Object.fromEntries(
      Object.keys(peers).flatMap((name) =>
        ways.map((way) => [`${name}, ${answers[`${name} ${way}`].way}`, values[`${name} ${way}`]]),
      ),
    )
  const memoryOf = (ways) =>
    Object.fromEntries(
      Object.entries(peers).flatMap(([name, worker]) =>
        ways.map((way) => [`${name}, ${answers[`${name} ${way}`].way}`, worker.peakMemory()]),
      ),
    )
  const result = []
  for (const [format, worker] of Object.entries(ours)) {
    const about = `${layers} layers, ${format} weights`
    const oursMemory = worker.peakMemory()
    result.push(
      speedRow({
        case: `${about}: a step, references before`,
        seconds: { ours: step[`${format} dpo`] },
        peers: ofPeers(step, ['precomputed']),
        peersMemory: memoryOf(['precomputed']),
        amount: PAIRS,
        unit: 'pairs/s',
        oursMemory,
      }),
      speedRow({
        case: `${about}: a step, each by its defaults`,
        seconds: { ours: step[`${format} dpo`] },
        peers: ofPeers(step, ['in the step']),
        amount: PAIRS,
        unit: 'pairs/s',
      }),
      speedRow({
        case: `${about}: from rows to the last step`,
        seconds: { ours: whole[`${format} dpo`] },
        peers: ofPeers(whole, ['precomputed', 'in the step']),
        peersMemory: memoryOf(['precomputed', 'in the step']),
        amount: rows.length,
        unit: 'pairs/s',
        oursMemory,
      }),
      row({
        case: `${about}: a DPO step, against our SFT step`,
        ours: step[`${format} dpo`],
        peer: step[`${format} sft`],
        unit: 's',
        lowerIsBetter: true,
      }),
    )
  }
  for (const worker of [...Object.values(ours), ...Object.values(peers)]) worker.close()
  return result
}

/** @param options `rounds` (2), `layers` (`4,22`), `formats` (`bf16,nf4`), `peers` (`float32,bf16`), `atOnce` (4, the pairs of a pass of ours; 1 takes the least memory), `threads` (all) */
export async function run({
  rounds = 2,
  layers = '4,22',
  formats = 'bf16,nf4',
  peers = 'float32,bf16',
  atOnce = PAIRS,
  threads = availableParallelism(),
} = {}) {
  const all = []
  for (const depth of list(layers))
    all.push(
      ...(await ofDepth(Number(depth), { rounds, formats: list(formats), dtypes: list(peers), threads, atOnce })),
    )
  return { rows: all }
}
