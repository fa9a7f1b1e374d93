// Our side of overhead.mjs: trainings whose steps are timed inside and outside the native addon.
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import * as tf from '@tensorflow/tfjs-core'
import { selectBackend } from '@tunesmith/backend'
import { SFTTrainer } from '@tunesmith/sft-trainer'
import { randomModel, TINY_LLAMA } from './lib/random-model.mjs'
import { serve } from './lib/serve.mjs'

/** Seconds spent in the addon's functions so far. */
function timeAddon() {
  const { addon } = tf.engine().backend
  let seconds = 0
  for (const [name, call] of Object.entries(addon)) {
    if (typeof call !== 'function') continue
    addon[name] = (...args) => {
      const start = performance.now()
      try {
        return call(...args)
      } finally {
        seconds += (performance.now() - start) / 1000
      }
    }
  }
  return () => seconds
}

const rowOf = (vocabulary, length, seed) => {
  const inputIds = Array.from(
    { length },
    (_, i) => 3 + (((Math.imul(i + 1, 40503) + seed * 7919) >>> 0) % (vocabulary - 3)),
  )
  return { inputIds, labels: inputIds }
}

/** A training of so many steps of one row of 512 tokens; `onStep` is told of each. */
async function train(shape, steps, onStep) {
  const outputDir = await mkdtemp(join(tmpdir(), 'tunesmith-overhead-'))
  const model = randomModel(shape, 'bf16')
  const trainer = new SFTTrainer({
    model,
    trainDataset: Array.from({ length: 16 }, (_, i) => rowOf(shape.vocab_size, 512, i)),
    peftConfig: { r: 16, loraAlpha: 32, targetModules: ['q_proj', 'v_proj'] },
    args: {
      outputDir,
      maxSteps: steps,
      perDeviceTrainBatchSize: 1,
      learningRate: 1e-4,
      loggingSteps: 1,
      saveStrategy: 'no',
      reportTo: ['console', 'jsonl'],
    },
    callbacks: [{ onStepEnd: ({ step }) => onStep(step) }],
  })
  await trainer.train()
  model.dispose()
  await rm(outputDir, { recursive: true })
}

async function overhead({ layers, steps }) {
  await selectBackend({ backend: 'native' })
  const kernels = timeAddon()
  const marks = []
  // From the end of one step to the end of the next: reports, data and event loop included.
  await train({ ...TINY_LLAMA, num_hidden_layers: layers }, steps + 2, () => {
    marks.push({ now: performance.now() / 1000, kernels: kernels() })
  })
  const measured = marks.slice(2).map((mark, i) => {
    const before = marks[i + 1]
    const seconds = mark.now - before.now
    return { seconds, percent: 100 * (1 - (mark.kernels - before.kernels) / seconds) }
  })
  measured.sort((a, b) => a.percent - b.percent)
  return measured[measured.length >> 1]
}

const SMALL = { ...TINY_LLAMA, hidden_size: 128, intermediate_size: 256, num_hidden_layers: 2, num_attention_heads: 4 }

async function growth({ steps }) {
  await selectBackend({ backend: 'native' })
  const resident = []
  // V8's young generation grows once, by 16 MB, in the first few hundred steps.
  await train({ ...SMALL, vocab_size: 512 }, 2 * steps, (step) => {
    if (step % steps !== 0) return
    globalThis.gc()
    resident.push(process.memoryUsage.rss())
  })
  return { growth: resident[1] - resident[0] }
}

const handlers = { overhead, growth }

await serve(handlers)
