/** A preference training that is meant to be killed: bundled and run as a process of its own by kill.test.ts. */
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { selectBackend } from '@tunesmith/backend'
import { loadModel } from '@tunesmith/models'
import { Tokenizer } from '@tunesmith/tokenization'
import { DPOTrainer, KTOTrainer } from '../index'

const { outputDir, base, tokenizer, rows, kind } = JSON.parse(process.argv[2]!) as {
  outputDir: string
  base: string
  tokenizer: string
  rows: Record<string, unknown>[]
  kind: 'dpo' | 'kto'
}

await selectBackend()
const args = {
  outputDir,
  maxSteps: 40,
  learningRate: 5e-3,
  perDeviceTrainBatchSize: 3,
  gradientAccumulationSteps: 2,
  maxLength: 24,
  loggingSteps: 3,
  saveSteps: 4,
  saveTotalLimit: 2,
  disableDropout: false,
  reportTo: ['jsonl' as const],
  resumeFromCheckpoint: true,
}
const options = {
  model: await loadModel(base),
  tokenizer: await Tokenizer.fromPretrained(tokenizer),
  trainDataset: rows,
  peftConfig: { r: 4, loraDropout: 0.1, targetModules: 'all-linear' },
  callbacks: [
    {
      onTrainBegin: () => void process.stdout.write('ready\n'),
      onSubstepEnd: () => sleep(1),
    },
  ],
}
const trainer =
  kind === 'kto'
    ? new KTOTrainer({ ...options, args: { ...args, precomputeRefLogProbs: false } })
    : new DPOTrainer({ ...options, args: { ...args, lossType: ['sigmoid', 'sft'] } })
await trainer.train()
await trainer.saveModel(join(outputDir, 'adapter'))
process.stdout.write('finished\n')
