/** A training that is meant to be killed: bundled and run as a process of its own by kill.test.ts. */
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { selectBackend } from '@tunesmith/backend'
import { createModel } from '@tunesmith/models'
import { earlyStopping, INTERRUPT_EXIT_CODES, SFTTrainer } from '../index'
import { countingExamples, TINY_MODEL } from './counting-task'

const { outputDir, maxSteps, pause } = JSON.parse(process.argv[2]!) as {
  outputDir: string
  maxSteps: number
  /** Milliseconds of rest in each step, so that a kill meets every part of it. */
  pause: number
}

await selectBackend()
const trainer = new SFTTrainer({
  model: createModel(TINY_MODEL, { seed: 3 }),
  trainDataset: countingExamples(50),
  evalDataset: countingExamples(6, 8),
  peftConfig: { r: 4, loraAlpha: 8, loraDropout: 0.1, targetModules: 'all-linear' },
  args: {
    outputDir,
    maxSteps,
    learningRate: 2e-3,
    lrSchedulerType: 'reduce_lr_on_plateau',
    lrSchedulerKwargs: { patience: 1, factor: 0.9 },
    warmupRatio: 0,
    perDeviceTrainBatchSize: 4,
    gradientAccumulationSteps: 2,
    neftuneNoiseAlpha: 5,
    fp16: true,
    loggingSteps: 3,
    evalStrategy: 'steps',
    evalSteps: 7,
    saveSteps: 4,
    saveTotalLimit: 2,
    loadBestModelAtEnd: true,
    reportTo: ['jsonl'],
    resumeFromCheckpoint: true,
  },
  callbacks: [
    earlyStopping({ patience: 1000 }),
    {
      onTrainBegin: ({ resumedStep }) => void process.stdout.write(`ready ${resumedStep}\n`),
      onSubstepEnd: async () => void (pause > 0 && (await sleep(pause))),
      onNotice: ({ message }) => void process.stdout.write(`notice ${message}\n`),
      onSave: ({ step }) => void process.stdout.write(`saved ${step}\n`),
    },
  ],
})
const { ended, interruptedBy, steps } = await trainer.train()
if (ended === 'interrupted') {
  process.stdout.write(`interrupted ${steps}\n`)
  process.exitCode = interruptedBy === 'request' ? 1 : INTERRUPT_EXIT_CODES[interruptedBy!]
} else {
  await trainer.saveModel(join(outputDir, 'adapter'))
  process.stdout.write(`finished ${steps}\n`)
}
