/**
 * What training and decoding on an NVIDIA GPU ask of it, counted without one: memory, launches, bytes, operations, and the
 * time the JavaScript thread takes to submit them. Llama-3.1-8B in bfloat16, the same in NF4 with checkpointing and 8-bit
 * AdamW on a card of 8 GiB, TinyLlama; LoRA r = 16 on all seven linears, 2,048 packed tokens.
 *
 * Everything runs as on a GPU, on a device that computes nothing (TUNESMITH_CUDA_DRY). Memory and launches are therefore
 * exact; host time is this machine's processor alone, without what CUDA's driver takes per launch; `at least` is what a GPU
 * of the given speeds would need by counting, and no measurement. Where a goal is known it stands as the peer.
 *
 * Options: `--tokens=2048 --r=16 --tflops=790 --terabytes=4.2 --context=600` (MiB for CUDA's context and modules)
 * `--cases=bf16,nf4,tinyllama` (or `toy`) `--rounds=40 --decode=64`
 */
import { buildCuda } from '../packages/backend-cuda/scripts/build-cuda.mjs'
import { SHAPES } from './lib/cuda-shapes.mjs'
import { consumersTable, operationsTable, roofline } from './lib/cuda-tables.mjs'
import { row, startWorker } from './lib/index.mjs'

/** `goal` is in seconds per step: the GPU's part at the tokens per second it shall reach. */
const CASES = {
  bf16: { shape: 'llama-3.1-8b', format: 'bf16', optim: 'adamw', goal: 2048 / 15000 },
  nf4: { shape: 'llama-3.1-8b', format: 'nf4', optim: 'paged_adamw_8bit', gradientCheckpointing: true, gigabytes: 8 },
  tinyllama: { shape: 'tinyllama', format: 'bf16', optim: 'adamw', goal: 2048 / 90000 },
  toy: { shape: 'toy', format: 'nf4', optim: 'paged_adamw_8bit', gradientCheckpointing: true, gigabytes: 1 },
}
const GIB = 2 ** 30

export async function run({
  tokens = 2048,
  r = 16,
  tflops = 790,
  terabytes = 4.2,
  context = 600,
  cases = 'bf16,nf4,tinyllama',
  rounds = 40,
  decode = 64,
} = {}) {
  const { problem } = await buildCuda({ emulated: true })
  if (problem) throw new Error(problem)
  const speeds = { flops: tflops * 1e12, bytes: terabytes * 1e12 }
  const rows = []
  for (const name of String(cases).split(',')) {
    const { shape, goal, gigabytes, ...settings } = CASES[name]
    const what = `${shape} ${settings.format}${settings.gradientCheckpointing ? ', checkpointing' : ''}`
    const env = { ...process.env, TUNESMITH_CUDA_EMULATE: '1', TUNESMITH_CUDA_DRY: '1', TUNESMITH_BACKEND: 'cuda' }
    if (gigabytes) env.TUNESMITH_CUDA_EMULATED_MB = String(gigabytes * 1024 - context)
    const worker = startWorker(process.execPath, [new URL('cuda.ours.mjs', import.meta.url)], { env })
    await worker.call({ call: 'prepare', config: SHAPES[shape], r, ...settings })
    const step = await worker.call({ call: 'profile', tokens })
    const { peak, peakConsumers } = step.memory
    const add = (what, ours, unit, peer) => rows.push(row({ case: what, ours, peer, unit, lowerIsBetter: true }))
    console.log(`\n${what}: one step of ${tokens} tokens, by counting`)
    console.log(`${operationsTable(step, { speeds })}\n\n${consumersTable(peakConsumers)}`)
    const withContext = (peak + context * 2 ** 20) / GIB
    add(`${what}: peak memory, with ${context} MiB for CUDA's context`, withContext, 'GiB', gigabytes)
    add(`${what}: launches per step`, step.launches, '')
    add(`${what}: moved per step`, step.bytes / 1e9, 'GB')
    add(`${what}: products per step`, step.flops / 1e12, 'TFLOP')
    add(`${what}: copied from the host per step`, step.uploaded / 1e6, 'MB')
    const floor = 1000 * roofline(step, speeds)
    add(
      `${what}: step, at least, by counting`,
      floor,
      `ms at ${tflops} TFLOP/s and ${terabytes} TB/s`,
      goal && 1000 * goal,
    )
    const { seconds } = await worker.call({ call: 'submission', tokens, rounds })
    add(`${what}: submitting a step, host`, 1000 * seconds, 'ms, of this processor', goal ? 1000 * goal : floor)
    const token = await worker.call({ call: 'decode', prompt: 64, tokens: decode, profiled: true })
    const plain = await worker.call({ call: 'decode', prompt: 64, tokens: decode })
    const perToken = (amount) => amount / decode
    add(`${what}: decoding, launches per token`, perToken(token.launches), '')
    add(`${what}: decoding, moved per token`, perToken(token.bytes) / 1e9, 'GB')
    const least = 1000 * perToken(roofline(token, speeds))
    add(`${what}: decoding, host per token`, 1000 * plain.each, 'ms; as the peer: the GPU at least', least)
    worker.close()
  }
  return { rows }
}
