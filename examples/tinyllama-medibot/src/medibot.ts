// %% [markdown]
// # A medical assistant from TinyLlama
//
// **TinyLlama-1.1B-Chat** learns to answer health questions from **MedQuAD**, question and answer pairs of the National Institutes of
// Health. A LoRA adapter of two million numbers does it, 0.2% of the model.
//
// The notebook this follows made two mistakes that many notebooks make: it padded every row to 1000 tokens, and it masked labels with the
// padding's id instead of -100. Nothing crashes, and the loss goes down. Below, both are done again on purpose, and measured.
//
// ```sh
// npm run example -- tinyllama-medibot --smoke
// ```

// %%
import { join } from 'node:path'
import { type Dataset, histogramSvg, loadDataset, type TokenizedExample } from '@tunesmith/datasets'
import { compare } from '@tunesmith/eval-metrics'
import { loadModel, savePretrained } from '@tunesmith/models'
import { lossChart, SFTTrainer } from '@tunesmith/sft-trainer'
import { buildExample, Tokenizer } from '@tunesmith/tokenization'
import {
  answerAll,
  count,
  lengthsOf,
  percent,
  saveFigures,
  saveRows,
  showPlan,
  showScores,
  showSettings,
  showSvg,
  showTable,
  startExample,
} from 'example-kit'
import { padAsTheNotebookDid, tokenBudget } from './padded'

const run = await startExample(import.meta.url)

// %% [markdown]
// ## What the full run takes
//
// The adapter sits on the query and the value projection of each of the 22 layers.

// %%
const peftConfig = { r: 16, loraAlpha: 32, loraDropout: 0.05, targetModules: ['q_proj', 'v_proj'] }
const plan = showPlan(run, 'TinyLlama/TinyLlama-1.1B-Chat-v1.0', {
  weights: 'bfloat16',
  lora: peftConfig,
  optimizerBytes: 8,
  tokens: 4 * 300,
  gradientCheckpointing: true,
})

// %% [markdown]
// ## The questions
//
// MedQuAD lost two thirds of its answers to copyright; those rows have a question and no answer, and are left out. One row in ten is kept for
// testing, and of the rest a thousand are trained on.

// %%
interface QuestionRow {
  question: string
  answer: string | null
}
const source = run.pick({
  smoke: join(run.folder, 'data', 'questions.parquet'),
  data: join(run.dataDir, 'medquad.parquet'),
  full: 'lavita/MedQuAD',
})
const all = (await loadDataset(source, { columns: ['question', 'answer'] })) as unknown as Dataset<QuestionRow>
const answered = await all.filter(({ answer }) => answer !== null && answer.trim() !== '')
const split = answered.trainTestSplit({ testSize: 0.1, seed: 42 })

const base = run.baseModel('TinyLlama/TinyLlama-1.1B-Chat-v1.0')
const tokenizer = await Tokenizer.fromPretrained(base)

/** Token ids, and labels that are -100 but for the answer. */
const toExample = ({ question, answer }: QuestionRow) => ({
  prompt: [{ role: 'user', content: question }],
  completion: [{ role: 'assistant', content: answer! }],
})
const tokenize = (row: QuestionRow): TokenizedExample => buildExample(tokenizer, toExample(row))
const longest = run.pick({ smoke: 1000, data: 320, full: 1000 })
const fits = (row: QuestionRow) => tokenize(row).inputIds.length <= longest
const trainRows = (await split.train.take(run.pick({ smoke: 1000, data: 3000, full: 1000 })).filter(fits))
  .toArray()
  .slice(0, run.pick({ smoke: 1000, data: run.quick ? 320 : 1000, full: 1000 }))
const testRows = (await split.test.take(600).filter(fits))
  .toArray()
  .slice(0, run.pick({ smoke: 48, data: run.quick ? 16 : 48, full: 200 }))
saveRows(run, { train: trainRows.map(toExample), test: testRows.map(toExample) })
const train = trainRows.map(tokenize)
const test = testRows.map(tokenize)
showTable(
  ['', 'rows'],
  [
    ['in the table', count(all.length)],
    ['with an answer', count(answered.length)],
    [`trained on, at most ${longest} tokens`, count(train.length)],
    ['tested on', count(test.length)],
  ],
)
showSvg(
  histogramSvg(lengthsOf(train), { title: 'Length of a training row', unit: 'tokens' }),
  join(run.outputDir, 'lengths.svg'),
)

// %% [markdown]
// ## The model
//
// Its matrices stay in bfloat16 as they were saved. The small parameters, the norms, are float32, which the notebook had to ask for and which here is
// always so. Gradient checkpointing keeps one hidden state per layer and computes the rest again.

// %%
const model = await loadModel(base)
const formats = new Set([...model.linears.values()].map(({ weight }) => weight.format))
const norms = new Set([...model.norms.values()].map(({ weight }) => weight.dtype))
showTable(
  ['parameters', 'kept as'],
  [
    ['matrices', [...formats].join(', ')],
    ['norms', [...norms].join(', ')],
  ],
)

// %% [markdown]
// ## Asked before
//
// Three test questions to the model as it is.

// %%
const prompts = testRows.map(({ question }) => [{ role: 'user' as const, content: question }])
const references = testRows.map(({ answer }) => answer!)
const maxNewTokens = run.pick({ smoke: 64, data: 160, full: 300 })
const before = await answerAll(model, tokenizer, prompts, { label: 'before', maxNewTokens })
const clip = (text: string) => (text.length > 260 ? `${text.slice(0, 260)}…` : text)
showTable(
  ['question', 'answer of the base model'],
  testRows.slice(0, 3).map(({ question }, i) => [question, clip(before.answers[i]!)]),
)

// %% [markdown]
// ## What the notebook got wrong
//
// **Padding to 1000 tokens.** A model computes padding like any other token, attention over it included. The longer the padding, the more of the
// time and memory goes into nothing.
//
// **The padding's id as the label mask.** A label of -100 is ignored. The notebook wrote the padding's id there instead, over the question and over
// the padding, so the loss covers every position, and nearly all of them are right once the model has learnt to say "padding". The mean over a thousand
// such positions falls quickly, whatever happens to the answers.

// %%
const padId = tokenizer.padTokenId ?? tokenizer.eosTokenId!
const padded = padAsTheNotebookDid(train, { length: 1000, padId })
const [wrongBudget, rightBudget] = [tokenBudget(padded, train), tokenBudget(train, train)]
showTable(
  ['one epoch', 'tokens computed', 'tokens in the loss', 'of these in answers', 'computed per answer token'],
  [
    ['as the notebook did', wrongBudget],
    ['right', rightBudget],
  ].map(([name, budget]) => {
    const { tokens, labelled, answers } = budget as typeof wrongBudget
    return [name as string, count(tokens), count(labelled), percent(answers / labelled), (tokens / answers).toFixed(1)]
  }),
)

// %% [markdown]
// Now both train for the same number of steps from the same start. The loss that each reports is not the same quantity; the loss on the answers of the
// test rows is.

// %%
const steps = run.pick({ smoke: 12, data: run.quick ? 4 : 8, full: 20 })
const short = {
  maxSteps: steps,
  learningRate: run.pick({ smoke: 5e-3, data: 5e-3, full: 2e-4 }),
  perDeviceTrainBatchSize: 4,
  gradientAccumulationSteps: 2,
  weightDecay: 0.01,
  gradientCheckpointing: true,
  saveStrategy: 'no' as const,
  reportTo: [],
}
async function trainShortly(name: string, examples: readonly TokenizedExample[]) {
  const trainer = new SFTTrainer({
    model,
    peftConfig,
    args: { ...short, outputDir: join(run.outputDir, name) },
    trainDataset: examples,
    evalDataset: test,
  })
  const { trainRuntime, logs } = await trainer.train()
  const { evalLoss } = await trainer.evaluate()
  const { answers, cut } = await answerAll(model, tokenizer, prompts, { label: name, maxNewTokens })
  trainer.peft!.unload()
  return {
    seconds: trainRuntime / steps,
    reported: logs.at(-1)!.loss,
    evalLoss,
    answers,
    cut,
    empty: answers.filter((a) => a === '').length,
  }
}
const wrong = await trainShortly('padded', padded)
const right = await trainShortly('right', train)
showTable(
  [
    `${steps} steps of 8 rows`,
    'seconds per step',
    'loss it reports',
    'loss on test answers',
    'empty answers',
    'answers cut off',
  ],
  [
    ['as the notebook did', wrong],
    ['right', right],
  ].map(([name, way]) => {
    const { seconds, reported, evalLoss, empty, cut } = way as typeof wrong
    return [
      name as string,
      seconds.toFixed(2),
      reported.toFixed(3),
      evalLoss.toFixed(3),
      `${empty} of ${test.length}`,
      `${cut} of ${test.length}`,
    ]
  }),
)
console.log(`padding and its labels: ${(wrong.seconds / right.seconds).toFixed(1)} times the time of a step`)

// %% [markdown]
// ## Training
//
// Now in earnest: three epochs, evaluated after each.

// %%
const args = showSettings(
  {
    perDeviceTrainBatchSize: 4,
    gradientAccumulationSteps: 8,
    numTrainEpochs: 3,
    learningRate: 2e-4,
    weightDecay: 0.01,
    gradientCheckpointing: true,
    maxLength: 1000,
    evalStrategy: 'epoch' as const,
    saveStrategy: 'epoch' as const,
    loggingSteps: 10,
  },
  run.pick({
    smoke: { gradientAccumulationSteps: 2, learningRate: 5e-3, gradientCheckpointing: false },
    data: { gradientAccumulationSteps: 2, learningRate: 5e-3, gradientCheckpointing: false, numTrainEpochs: 1 },
    full: {},
  }),
)
const trainer = new SFTTrainer({
  model,
  tokenizer,
  peftConfig,
  args: { ...args, outputDir: join(run.outputDir, 'trainer') },
  trainDataset: train,
  evalDataset: test,
})
trainer.peft!.printTrainableParameters()
const result = await trainer.train()
showSvg(lossChart(result), join(run.outputDir, 'loss.svg'))

// %% [markdown]
// ## Asked after
//
// The same questions, and every test answer scored against the one written by people. ROUGE counts shared words and phrases; it says nothing about
// medical truth.

// %%
const after = await answerAll(model, tokenizer, prompts, { label: 'after', maxNewTokens })
showTable(
  ['question', 'before', 'after', 'written by people'],
  testRows
    .slice(0, 3)
    .map(({ question }, i) => [question, before.answers[i]!, after.answers[i]!, references[i]!].map(clip)),
)
const report = await compare({
  rows: testRows.map(({ question }, i) => ({
    id: i,
    prompt: question,
    reference: references[i]!,
    outputs: {
      base: before.answers[i]!,
      'as the notebook': wrong.answers[i]!,
      'same steps, right': right.answers[i]!,
      tuned: after.answers[i]!,
    },
  })),
  metrics: ['rouge', 'bleu'],
  title: 'Health questions before and after fine-tuning',
  outputFolder: join(run.outputDir, 'report'),
})
showScores(report, { file: join(run.outputDir, 'scores.svg'), only: ['rouge1', 'rougeL', 'BLEU'] })

// %% [markdown]
// ## Save, merge, load again

// %%
await trainer.saveModel(join(run.outputDir, 'adapter'))
trainer.peft!.mergeAndUnload()
const merged = join(run.outputDir, 'merged')
await savePretrained(model, merged, { dtype: 'bfloat16', tokenizer })
const again = await answerAll(await loadModel(merged), tokenizer, prompts, { label: 'merged', maxNewTokens })
const same = again.answers.filter((answer, i) => answer === after.answers[i]).length
console.log(
  `the merged model, loaded from disk, gives the adapter’s answer to ${same} of ${test.length} questions; the rest differ by bfloat16's rounding`,
)
console.log(`talk to it: npx tunesmith chat ${merged}`)

// %%
const score = (name: string, system: string) =>
  report.summary.metrics.find((metric) => metric.name === name)!.systems.find((each) => each.system === system)!.score
saveFigures(run, {
  trainableLine: plan.line,
  loss: { first: result.logs[0]!.loss, last: result.logs.at(-1)!.loss },
  evalLosses: result.evals.map(({ evalLoss }) => evalLoss),
  tokensPerSecond: result.numTokens / result.trainRuntime,
  rougeL: {
    base: score('rougeL', 'base'),
    padded: score('rougeL', 'as the notebook'),
    right: score('rougeL', 'same steps, right'),
    tuned: score('rougeL', 'tuned'),
  },
  padded: {
    computedPerAnswerToken: wrongBudget.tokens / wrongBudget.answers,
    secondsPerStep: wrong.seconds,
    reportedLoss: wrong.reported,
    evalLoss: wrong.evalLoss,
  },
  right: {
    computedPerAnswerToken: rightBudget.tokens / rightBudget.answers,
    secondsPerStep: right.seconds,
    reportedLoss: right.reported,
    evalLoss: right.evalLoss,
  },
  mergedSame: same / test.length,
  files: [
    'rows/train.jsonl',
    'adapter/adapter_config.json',
    'merged/model.safetensors',
    'report/report.html',
    'scores.svg',
  ],
})
