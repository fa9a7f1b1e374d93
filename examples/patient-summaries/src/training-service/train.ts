import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { selectBackend } from '@tunesmith/backend'
import { isTunesmithError, writeFileAtomic } from '@tunesmith/core'
import { type Dataset, loadDataset } from '@tunesmith/datasets'
import { loadModel } from '@tunesmith/models'
import { INTERRUPT_EXIT_CODES, SFTTrainer } from '@tunesmith/sft-trainer'
import { Tokenizer } from '@tunesmith/tokenization'
import { readNote, toExample } from '../note-format'
import { type ServiceFolders, serviceFolders } from './folders'
import { readHyperparameters } from './hyperparameters'

const NF4 = { loadIn4bit: true, bnb4bitQuantType: 'nf4', bnb4bitUseDoubleQuant: true } as const

/** Only prompt and completion go on; the id stays in the file. */
const examples = async (folder: string): Promise<Dataset> =>
  (await (await loadDataset(folder)).map((row) => toExample(readNote(row)))) as unknown as Dataset

/** One training job. It goes on from the newest whole checkpoint it finds, so starting it again is all a restart takes. */
async function train(folders: ServiceFolders): Promise<number> {
  const { model: modelId, loadIn4bit, lora, training } = readHyperparameters(folders.hyperparameters)
  const base = folders.baseModel ?? modelId
  await selectBackend()
  const tokenizer = await Tokenizer.fromPretrained(base)
  const trainer = new SFTTrainer({
    model: await loadModel(base, loadIn4bit ? { quantizationConfig: NF4 } : {}),
    tokenizer,
    peftConfig: lora,
    args: {
      saveStrategy: 'epoch',
      saveTotalLimit: 2,
      ...training,
      outputDir: folders.checkpoints,
      resumeFromCheckpoint: true,
    },
    trainDataset: await examples(folders.train),
    ...(folders.validation && { evalDataset: await examples(folders.validation) }),
    callbacks: [
      {
        // Lines that a service's metric expressions find: `step=12 of=40 loss=0.53`.
        onStepEnd: ({ step, totalSteps, loss }) => console.log(`step=${step} of=${totalSteps} loss=${loss.toFixed(4)}`),
        onTrainBegin: ({ resumedStep }) => console.log(`resumed_step=${resumedStep}`),
      },
    ],
  })
  const result = await trainer.train()
  if (result.ended === 'interrupted') {
    console.log(`interrupted step=${result.steps}`)
    return INTERRUPT_EXIT_CODES.SIGTERM
  }
  await trainer.saveModel(folders.model)
  await writeFileAtomic(join(folders.model, 'training.json'), `${JSON.stringify(result, null, 2)}\n`)
  console.log(`finished step=${result.steps} loss=${result.trainLoss.toFixed(4)}`)
  return 0
}

/**
 * Runs a job: 0 when it is finished, 143 when SIGTERM ended it after a checkpoint, 1 when it failed, with the reason in the
 * file that the service shows.
 */
export async function runJob(base?: string): Promise<number> {
  const folders = serviceFolders(base)
  try {
    return await train(folders)
  } catch (error) {
    const reason = isTunesmithError(error) ? error.message : String((error as Error).stack)
    mkdirSync(dirname(folders.failure), { recursive: true })
    writeFileSync(folders.failure, reason.slice(0, 1024))
    process.stderr.write(`${reason}\n`)
    return 1
  }
}
