/**
 * Pre-trains the model from random weights and writes it into model/: `pnpm run pretrain`
 *
 * `pnpm run pretrain -- --maxSteps 20 --out runs/trial` is a short trial beside it.
 */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { selectBackend } from '@tunesmith/backend'
import { createModel, savePretrained } from '@tunesmith/models'
import { SFTTrainer } from '@tunesmith/sft-trainer'
import { Tokenizer } from '@tunesmith/tokenization'
import { corpusDocument, proseDocument } from './corpus'
import { tokenizeDocuments } from './examples'
import { initializeInduction } from './initialize'
import { sampleText } from './sample-text'
import { modelFolder, settings } from './settings'

const { values: flags } = parseArgs({
  args: process.argv.slice(2).filter((word) => word !== '--'),
  options: { maxSteps: { type: 'string', default: '-1' }, out: { type: 'string', default: modelFolder } },
})
const outputDir = 'runs/pretrain-tiny-medic'
const { seed, trainDocuments, validation } = settings

await selectBackend()
const tokenizer = await Tokenizer.fromPretrained(modelFolder)
const model = createModel(JSON.parse(readFileSync(join(modelFolder, 'config.json'), 'utf8')), { seed })
const save = (folder: string) =>
  savePretrained(model, folder, { dtype: 'bfloat16', ...(folder !== modelFolder && { tokenizerFrom: modelFolder }) })

const trainer = new SFTTrainer({
  model,
  trainDataset: tokenizeDocuments(tokenizer, (i) => corpusDocument(seed, i), { count: trainDocuments }),
  evalDataset: tokenizeDocuments(tokenizer, (i) => proseDocument(seed, i), {
    start: validation.start,
    count: validation.documents,
  }),
  // What was learned so far is on disk whenever the validation loss is known.
  callbacks: [{ onEvaluate: ({ step }) => save(join(outputDir, `step-${step}`)) }],
  args: {
    outputDir,
    numTrainEpochs: 1,
    maxSteps: Number(flags.maxSteps),
    // The corpus has an order of its own, drills first; no document is met twice.
    trainSamplingStrategy: 'sequential',
    maxLength: settings.maxPositions,
    perDeviceTrainBatchSize: 12,
    learningRate: 2e-3,
    lrSchedulerType: 'linear',
    warmupSteps: 50,
    weightDecay: 0.1,
    adamBeta2: 0.95,
    loggingSteps: 25,
    evalStrategy: 'steps',
    evalSteps: 250,
    seed,
  },
})
initializeInduction(trainer.parameters, model.config, seed)
await trainer.train()

const { evalLoss, evalPerplexity } = await trainer.evaluate()
await save(flags.out)
console.log(`validation loss ${evalLoss.toFixed(4)}, perplexity ${evalPerplexity.toFixed(3)}; saved in ${flags.out}`)
console.log(await sampleText(model, tokenizer, 'Dear Ms. Hartwell,\n\n'))
