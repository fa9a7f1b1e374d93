// Our side of preference.mjs: one process per weight format.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { selectBackend } from '@tunesmith/backend'
import { setNumThreads } from '@tunesmith/backend-native'
import { Dataset } from '@tunesmith/datasets'
import { DPOTrainer } from '@tunesmith/preference-trainer'
import { SFTTrainer } from '@tunesmith/sft-trainer'
import { Tokenizer } from '@tunesmith/tokenization'
import { randomModel } from './lib/random-model.mjs'
import { serve } from './lib/serve.mjs'
import { wordTokenizer } from './lib/word-tokenizer.mjs'

let made

async function prepare({ config, format, words, rows, steps, pairs, threads, atOnce }) {
  await selectBackend({ backend: 'native' })
  setNumThreads(threads)
  const folder = mkdtempSync(join(tmpdir(), 'bench-preference-'))
  writeFileSync(join(folder, 'tokenizer.json'), JSON.stringify(wordTokenizer(words)))
  const tokenizer = await Tokenizer.fromPretrained(folder)
  rmSync(folder, { recursive: true })
  made = { model: randomModel(config, format), tokenizer, rows, steps, pairs, atOnce }
}

async function train({ method }) {
  const { model, tokenizer, rows, steps, pairs, atOnce } = made
  const outputDir = mkdtempSync(join(tmpdir(), 'bench-preference-'))
  const start = performance.now()
  const ends = []
  const [Trainer, data, batch] =
    method === 'dpo'
      ? [DPOTrainer, rows, atOnce]
      : [
          SFTTrainer,
          rows.flatMap(({ prompt, chosen, rejected }) => [
            { prompt, completion: chosen },
            { prompt, completion: rejected },
          ]),
          2 * atOnce,
        ]
  const trainer = new Trainer({
    model,
    tokenizer,
    trainDataset: Dataset.fromRows(data),
    peftConfig: { r: 16, loraAlpha: 32, targetModules: ['q_proj', 'v_proj'] },
    args: {
      outputDir,
      learningRate: 1e-5,
      perDeviceTrainBatchSize: batch,
      gradientAccumulationSteps: pairs / atOnce,
      maxSteps: steps,
      trainSamplingStrategy: 'sequential',
      saveStrategy: 'no',
      reportTo: [],
      loggingSteps: 1,
    },
    callbacks: [{ onStepEnd: () => void ends.push(performance.now()) }],
  })
  const { logs } = await trainer.train()
  const seconds = (performance.now() - start) / 1000
  trainer.peft.unload()
  rmSync(outputDir, { recursive: true })
  return { seconds, step: (ends.at(-1) - ends[0]) / 1000 / (steps - 1), losses: logs.map(({ loss }) => loss) }
}

await serve({ prepare, train })
