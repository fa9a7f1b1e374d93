/**
 * Pre-trains the model from random weights and writes it into model/: `pnpm run pretrain`
 *
 * `pnpm run pretrain -- --maxSteps 20 --out runs/trial` is a short trial beside it.
 */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { selectBackend } from '@tunesmith/backend'
import { createModel, saveModel } from '@tunesmith/models'
import { SFTTrainer } from '@tunesmith/sft-trainer'
import { Tokenizer } from '@tunesmith/tokenization'
import { documentExamples, trainingExamples } from './examples'
import { sampleText } from './sampleText'
import { modelFolder, settings } from './settings'

const { values: flags } = parseArgs({
  args: process.argv.slice(2).filter((word) => word !== '--'),
  options: { maxSteps: { type: 'string', default: '-1' }, out: { type: 'string', default: modelFolder } },
})

console.log(`backend: ${(await selectBackend()).description}`)
const tokenizer = await Tokenizer.fromPretrained(modelFolder)
const model = createModel(JSON.parse(readFileSync(join(modelFolder, 'config.json'), 'utf8')), { seed: settings.seed })

// The documents with the lowest numbers are kept from training, so that the validation text is really new.
const { seed, validationDocuments, trainTokens } = settings
const trainer = new SFTTrainer({
  model,
  trainDataset: trainingExamples(tokenizer, seed, validationDocuments, trainTokens),
  evalDataset: documentExamples(tokenizer, seed, 0, validationDocuments),
  reportTo: ['console', 'jsonl', 'chart'],
  args: {
    outputDir: 'runs/pretrain-tiny-medic',
    numTrainEpochs: 1,
    maxSteps: Number(flags.maxSteps),
    packing: true,
    maxLength: 1024,
    perDeviceTrainBatchSize: 4,
    learningRate: 3e-3,
    lrSchedulerType: 'linear',
    warmupSteps: 60,
    weightDecay: 0.1,
    adamBeta2: 0.95,
    loggingSteps: 25,
    evalStrategy: 'steps',
    evalSteps: 250,
    seed,
  },
})
await trainer.train()
const { evalLoss, evalPerplexity } = await trainer.evaluate()
await saveModel(model, flags.out, {
  dtype: 'bfloat16',
  ...(flags.out !== modelFolder && { tokenizerFrom: modelFolder }),
})
console.log(`validation loss ${evalLoss.toFixed(4)}, perplexity ${evalPerplexity.toFixed(3)}; saved in ${flags.out}`)
console.log(await sampleText(model, tokenizer, 'Dear Ms. Hartwell,\n\n'))
