import { join } from 'node:path'
import { selectBackend } from '@tunesmith/backend'
import { checkOutputFolder, FOLDER_LOCK, withFolderLock, writeFileAtomic, writeOutputFolder } from '@tunesmith/core'
import { Dataset } from '@tunesmith/datasets'
import { type CausalLM, loadModel } from '@tunesmith/models'
import type { PeftConfigOptions, PeftModel } from '@tunesmith/peft-lora'
import { DPOTrainer, KTOTrainer } from '@tunesmith/preference-trainer'
import {
  earlyStopping,
  lossChart,
  SFTTrainer,
  type Trainer,
  type TrainingConfig,
  type TrainResult,
} from '@tunesmith/sft-trainer'
import { Tokenizer } from '@tunesmith/tokenization'
import { BASE_ANSWERS, remembered } from './base-answers'
import { type ComparisonScores, compareAnswers, type ModelAnswers } from './compare'
import type { FineTuneConfig } from './config'
import { findModel, type LoadedModel, readModel, setChatTemplate } from './load'
import {
  goodAnswers,
  isPreference,
  measureBefore,
  type PreferenceScores,
  pairMeasure,
  preferenceTable,
  WITHOUT_ADAPTER,
} from './preferences'
import { loadConfigRows, pathOf } from './rows'
import { answerRows, type HeldOut, heldOutRows, testRows } from './test-rows'

/** What `metrics.json` holds. */
export interface FineTuneMetrics {
  model: string
  backend: string
  trainableParameters: number
  training: { steps: number; seconds: number; loss: number; tokens: number; tokensPerSecond: number; evalLoss?: number }
  /** On the held-out test rows; absent without a test set. */
  test?: { rows: number; seconds: number; tokensGenerated?: number } & ComparisonScores
  /** How often each model finds the chosen answer of the held-out pairs more likely; absent without pairs. */
  preferences?: PreferenceScores
  seconds: number
}

export interface FineTuneResult {
  metrics: FineTuneMetrics
  /** A signal ended training early, after its state was saved: nothing below this was done. */
  interrupted: { by: 'SIGTERM' | 'SIGINT'; checkpoint: string | undefined } | undefined
  /** Folder of the adapter, or of the whole model. */
  saved: string
  report: string | undefined
  heldOut: HeldOut[]
  answers: ModelAnswers | undefined
}

/** What a failed run leaves, which is no hindrance to the next. */
const LEFTOVERS = new Set([FOLDER_LOCK, BASE_ANSWERS, 'logs.jsonl'])

/**
 * The whole way: load, answer the test set, train, answer again, compare, write everything to `outputDir`.
 *
 * @param say gets a line at the start of each part.
 */
export async function fineTune(config: FineTuneConfig, say: (line: string) => void): Promise<FineTuneResult> {
  const { train, validation, test } = config.dataset
  const sources = [config.model, ...[train, validation, test].flatMap((source) => (source ? [pathOf(source)] : []))]
  await checkOutputFolder(config.outputDir, {
    overwrite: config.overwrite || config.training.resumeFromCheckpoint !== false,
    sources,
    only: (name) => !LEFTOVERS.has(name),
    remedy: 'go on with an earlier run with tunesmith train --resume',
  })
  return withFolderLock(config.outputDir, () => run(config, sources, say), say)
}

async function run(
  config: FineTuneConfig,
  sources: readonly string[],
  say: (line: string) => void,
): Promise<FineTuneResult> {
  const start = performance.now()
  const seconds = (since: number) => (performance.now() - since) / 1000
  const { outputDir, evaluation } = config
  const backend = await selectBackend(config.backend ? { backend: config.backend } : {})
  if (backend.name !== 'native') say(slowBackendNotice(backend.name, backend.passedOver))

  say(`loading ${config.model}`)
  const { model, peft, tokenizer } = await loadForTraining(config)
  setChatTemplate(tokenizer, config.chatTemplate)
  const { train, validation, test } = await loadConfigRows(config)
  const asked = test?.take(evaluation.maxRows ?? test.length)
  const questions = asked && isPreference(config) ? Dataset.fromRows(await goodAnswers(asked, config)) : asked
  const heldOut = questions ? heldOutRows(testRows(questions as Dataset), tokenizer) : []
  const measure = pairMeasure(asked, tokenizer, config)

  const answer = (label: string, of: CausalLM) => answerRows(of, tokenizer, heldOut, { label, ...evaluation }, say)
  const answeringBase = performance.now()
  const answerWithBase = () => {
    say(`answering ${heldOut.length} held-out prompts with the base model`)
    return answer('base', model)
  }
  const baseAnswers = test ? await remembered(config, heldOut, answerWithBase) : []
  const withoutAdapter = test && (await peft?.withoutAdapter(() => answer(WITHOUT_ADAPTER, model)))
  const baseSeconds = seconds(answeringBase)
  const before = measure && (await measureBefore(measure, model, peft))

  say('training')
  const adapter = config.lora ?? (config.peft as PeftConfigOptions | undefined)
  const trainer = createTrainer(config, {
    model: peft ?? model,
    trainDataset: train,
    tokenizer,
    ...(validation && { evalDataset: validation }),
    ...(adapter && { peftConfig: adapter }),
    ...(config.earlyStopping && { callbacks: [earlyStopping(config.earlyStopping)] }),
  })
  const result = await trainer.train()
  const saved = join(outputDir, adapter || peft ? 'adapter' : 'model')

  const metrics: FineTuneMetrics = {
    model: config.model,
    backend: `${backend.name}: ${backend.description}`,
    trainableParameters: [...trainer.parameters.values()].reduce((sum, { size }) => sum + size, 0),
    training: summary(result),
    seconds: 0,
  }
  const { interruptedBy, lastCheckpoint: checkpoint } = result
  if (interruptedBy === 'SIGTERM' || interruptedBy === 'SIGINT') {
    const interrupted = { by: interruptedBy, checkpoint }
    return { metrics, interrupted, saved, report: undefined, heldOut, answers: undefined }
  }
  await writeOutputFolder(saved, { overwrite: true, sources }, (folder) => trainer.saveModel(folder))
  let report: string | undefined
  let answers: FineTuneResult['answers']
  if (test) {
    say(`answering the same ${heldOut.length} prompts with the tuned model`)
    const answeringTuned = performance.now()
    answers = { base: baseAnswers, tuned: await answer('tuned', model), ...(withoutAdapter && { withoutAdapter }) }
    if (measure && before) metrics.preferences = { ...before, tuned: await measure(model) }
    const compared = compareAnswers(heldOut, answers, {
      title: 'Before and after fine-tuning',
      subtitle: `${heldOut.length} held-out prompts, greedy answers of at most ${evaluation.maxNewTokens} tokens`,
      sections: [
        ...(metrics.preferences ? [{ title: 'Preferences', html: preferenceTable(metrics.preferences) }] : []),
        { title: 'Training', html: lossChart(result) },
      ],
    })
    metrics.test = { rows: heldOut.length, seconds: baseSeconds + seconds(answeringTuned), ...compared.scores }
    report = join(outputDir, 'report.html')
    await writeFileAtomic(report, compared.report.html)
  }
  metrics.seconds = seconds(start)
  await writeFileAtomic(join(outputDir, 'metrics.json'), `${JSON.stringify(metrics, null, 2)}\n`)
  return { metrics, interrupted: undefined, saved, report, heldOut, answers }
}

/** The model of a config with its tokenizer; for preferences it may be an adapter, which goes on learning. */
async function loadForTraining(config: FineTuneConfig): Promise<LoadedModel> {
  const { model: name, revision, quantization } = config
  const options = quantization && { quantizationConfig: quantization }
  if (isPreference(config) && revision === undefined) {
    const found = await findModel(name)
    if (found.adapter !== undefined) return readModel(found, options)
  }
  const tokenizer = await Tokenizer.fromPretrained(name, { revision })
  return { model: await loadModel(name, { revision, ...options }), peft: undefined, tokenizer }
}

/** The trainer of the config's method. */
function createTrainer(
  config: FineTuneConfig,
  options: Omit<ConstructorParameters<typeof DPOTrainer>[0], 'args'> & { model: CausalLM | PeftModel },
): Trainer<TrainingConfig> {
  const { outputDir } = config
  switch (config.method) {
    case 'dpo':
      return new DPOTrainer({ ...options, args: { ...config.training, outputDir } })
    case 'kto':
      return new KTOTrainer({ ...options, args: { ...config.training, outputDir } })
    case 'sft':
      return new SFTTrainer({ ...options, args: { ...config.training, outputDir } })
  }
}

function summary({ steps, trainRuntime, trainLoss, numTokens, evals }: TrainResult): FineTuneMetrics['training'] {
  const evalLoss = evals.at(-1)?.evalLoss
  return {
    steps,
    seconds: trainRuntime,
    loss: trainLoss,
    tokens: numTokens,
    tokensPerSecond: numTokens / trainRuntime,
    ...(evalLoss !== undefined && { evalLoss }),
  }
}

function slowBackendNotice(name: string, passedOver: { name: string; reason: string }[]): string {
  const reason = passedOver.find((backend) => backend.name === 'native')?.reason
  return `running on TensorFlow.js' "${name}" backend, which is much slower than the native one${reason ? ` (${reason})` : ''}`
}
