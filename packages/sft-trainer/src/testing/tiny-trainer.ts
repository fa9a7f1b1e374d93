import { createModel } from '@tunesmith/models'
import { type Notice, SFTTrainer, type SFTTrainerOptions, type TrainerCallback } from '../index'
import { countingExamples, TINY_MODEL } from './counting-task'

/** A trainer on the counting task, and what it has to say. */
export function tinyTrainer(
  args: Partial<SFTTrainerOptions['args']> & { outputDir: string },
  options: Partial<SFTTrainerOptions> = {},
): { trainer: SFTTrainer; notices: Notice[] } {
  const notices: Notice[] = []
  const listen: TrainerCallback = { onNotice: (notice) => void notices.push(notice) }
  const trainer = new SFTTrainer({
    model: createModel(TINY_MODEL, { seed: 3 }),
    trainDataset: countingExamples(40),
    evalDataset: countingExamples(8, 8),
    peftConfig: { r: 4, loraAlpha: 8, loraDropout: 0.1, targetModules: 'all-linear' },
    args: {
      learningRate: 5e-3,
      perDeviceTrainBatchSize: 4,
      loggingSteps: 1,
      maxSteps: 12,
      saveStrategy: 'no',
      reportTo: [],
      ...args,
    },
    ...options,
    callbacks: [listen, ...(options.callbacks ?? [])],
  })
  return { trainer, notices }
}

/** Every trained value, to be compared bit for bit. */
export const weightsOf = ({ parameters }: SFTTrainer) =>
  new Map([...parameters].map(([name, variable]) => [name, Array.from(variable.dataSync())]))
