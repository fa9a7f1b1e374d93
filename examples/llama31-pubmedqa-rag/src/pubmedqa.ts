// %% [markdown]
// # Yes, no or maybe: Llama 3.1 reads medical studies
//
// **PubMedQA** asks a question about a study, gives the abstract without its conclusion, and wants *yes*, *no* or *maybe* with the reason. This
// notebook fine-tunes **Llama-3.1-8B** for it, from a checkpoint that is already in four bits, with a rank-stabilised LoRA adapter on all seven linear
// layers of each block; then merges, saves, loads again and chats.
//
// ```sh
// npm run example -- llama31-pubmedqa-rag --smoke
// ```

// %%
import { join } from 'node:path'
import { Dataset, loadDataset, type TokenizedExample } from '@tunesmith/datasets'
import { compare, pubmedQa } from '@tunesmith/eval-metrics'
import { fitChat, loadModel, savePretrained } from '@tunesmith/models'
import { plotErrors, quantizeCheckpoint } from '@tunesmith/quantization'
import { lossChart, SFTTrainer } from '@tunesmith/sft-trainer'
import { buildExample, type Message, Tokenizer } from '@tunesmith/tokenization'
import {
  answerAll,
  bytesText,
  count,
  EMBEDDED_MODEL,
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
import { answerText, ask, type Question, readQuestion } from './pubmedqa-row'

const run = await startExample(import.meta.url)

// %% [markdown]
// ## What the full run takes
//
// Rank stabilisation scales the update by alpha over the *root* of the rank: 16 / 4 here, where plain LoRA would give 1.

// %%
const peftConfig = {
  r: 16,
  loraAlpha: 16,
  useRslora: true,
  targetModules: ['q_proj', 'k_proj', 'v_proj', 'o_proj', 'gate_proj', 'up_proj', 'down_proj'],
}
const plan = showPlan(run, 'unsloth/Meta-Llama-3.1-8B-bnb-4bit', {
  weights: 'nf4',
  lora: peftConfig,
  optimizerBytes: 2,
  tokens: 2048,
  gradientCheckpointing: true,
})

// %% [markdown]
// ## The model in four bits
//
// The full run downloads a checkpoint that bitsandbytes quantized. The embedded model is quantized the same way first; the plot shows what each layer
// lost.

// %%
const quantize = async () => {
  const folder = join(run.outputDir, 'base-nf4')
  const report = await quantizeCheckpoint({
    model: EMBEDDED_MODEL,
    out: folder,
    config: { loadIn4bit: true, bnb4bitQuantType: 'nf4', bnb4bitUseDoubleQuant: true, bnb4bitComputeDtype: 'bfloat16' },
  })
  const worst = report.layers.reduce((a, b) => (b.relative > a.relative ? b : a))
  showTable(
    ['checkpoint', 'size', 'relative error, mean', 'worst layer'],
    [
      ['bfloat16', bytesText(report.bytesBefore), '–', '–'],
      [
        'NF4, double quantization',
        bytesText(report.bytesAfter),
        percent(report.layers.reduce((sum, { relative }) => sum + relative, 0) / report.layers.length),
        `${worst.name.replace('model.layers.', '')} ${percent(worst.relative)}`,
      ],
    ],
  )
  showSvg(plotErrors(report), join(run.outputDir, 'quantization-errors.svg'))
  return folder
}
const base = run.mode === 'full' ? 'unsloth/Meta-Llama-3.1-8B-bnb-4bit' : await quantize()
const tokenizer = await Tokenizer.fromPretrained(base)
const model = await loadModel(base)

// %% [markdown]
// ## The data
//
// How long are questions, abstracts and answers? In tokens of the model that will read them:

// %%
const source = run.pick({
  smoke: { train: join(run.folder, 'data', 'train.jsonl'), test: join(run.folder, 'data', 'test.jsonl') },
  data: { train: join(run.dataDir, 'ori_pqal.json'), test: '' },
  full: { train: 'qiaojin/PubMedQA', test: '' },
})
const load = async (path: string) => {
  const options = run.mode === 'full' ? { config: 'pqa_labeled' } : {}
  return (await loadDataset(path, options)).toArray().map(readQuestion)
}
const rows = await load(source.train)
const split = source.test
  ? { train: rows, test: await load(source.test) }
  : (() => {
      const parts = Dataset.fromRows(rows).trainTestSplit({ testSize: 0.2, seed: 0, stratifyBy: 'decision' })
      return { train: parts.train.toArray(), test: parts.test.toArray() }
    })()

const tokens = (text: string) => tokenizer.encode(text).ids.length
const quantile = (values: number[], share: number) =>
  values.sort((a, b) => a - b)[Math.floor(share * (values.length - 1))]!
const parts: [string, (row: Question) => string][] = [
  ['question', ({ question }) => question],
  ['context', ({ contexts }) => contexts.join('\n')],
  ['long answer', ({ longAnswer }) => longAnswer],
]
const statistics = parts.map(([name, text]) => {
  const lengths = rows.map((row) => tokens(text(row)))
  const mean = lengths.reduce((sum, length) => sum + length, 0) / lengths.length
  return [name, mean.toFixed(1), ...[0, 0.5, 0.95, 1].map((share) => count(quantile(lengths, share)))]
})
showTable(['tokens', 'mean', 'shortest', 'median', '95%', 'longest'], statistics, {
  caption: `${count(rows.length)} rows`,
})
const decisions = ['yes', 'no', 'maybe'] as const
showTable(
  ['', ...decisions],
  (['train', 'test'] as const).map((name) => [
    name,
    ...decisions.map((d) => percent(split[name].filter(({ decision }) => decision === d).length / split[name].length)),
  ]),
)

// %% [markdown]
// Each row becomes a conversation in ChatML. The system message and the question are read, only the answer is learnt.

// %%
const maxLength = run.pick({ smoke: 512, data: 1000, full: 2048 })
const toExample = (row: Question) => ({
  prompt: ask(row.question, row.contexts),
  completion: [{ role: 'assistant', content: answerText(row) }],
})
const tokenize = (row: Question): TokenizedExample => buildExample(tokenizer, toExample(row), { template: 'chatml' })
const fits = (row: Question) => tokenize(row).inputIds.length <= maxLength
const trainRows = split.train.filter(fits).slice(0, run.pick({ smoke: 560, data: run.quick ? 60 : 240, full: 800 }))
const test = split.test.filter(fits).slice(0, run.pick({ smoke: 60, data: run.quick ? 16 : 48, full: 200 }))
console.log(
  tokenizer.applyChatTemplate(
    [...ask(test[0]!.question, test[0]!.contexts), { role: 'assistant', content: answerText(test[0]!) }],
    { template: 'chatml' },
  ),
)
// As rendered text, because the full run's tokenizer has no chat template of its own.
const toRow = (row: Question) => ({
  prompt: tokenizer.applyChatTemplate(ask(row.question, row.contexts), {
    template: 'chatml',
    addGenerationPrompt: true,
  }),
  completion: `${answerText(row)}<|im_end|>`,
})
saveRows(run, { train: trainRows.map(toRow), test: test.map(toRow) })

// %% [markdown]
// ## Before

// %%
const render = (messages: Message[]) =>
  tokenizer.applyChatTemplate(messages, { template: 'chatml', addGenerationPrompt: true })
/** An answer ends where the model says so: with a token or, in a vocabulary that lacks ChatML's, with its text. */
const answer = async (of: typeof model, questions: Message[][], label: string, options = {}) => {
  const { answers } = await answerAll(of, tokenizer, questions.map(render), {
    label,
    maxNewTokens: run.pick({ smoke: 64, data: 96, full: 200 }),
    stopStrings: ['<|im_end|>'],
    batchSize: 16,
    ...options,
  })
  return answers
}
const questions = test.map((row) => ask(row.question, row.contexts))
const before = await answer(model, questions, 'before')

// %% [markdown]
// ## Training
//
// AdamW keeps its two moments in eight bits. Packing lays several rows end to end into one of the full length; attention does not cross from one to the
// next.

// %%
const args = showSettings(
  {
    perDeviceTrainBatchSize: 1,
    gradientAccumulationSteps: 8,
    numTrainEpochs: 1,
    learningRate: 3e-4,
    lrSchedulerType: 'linear' as const,
    warmupSteps: 10,
    optim: 'paged_adamw_8bit' as const,
    weightDecay: 0.01,
    maxLength: 2048,
    packing: true,
    gradientCheckpointing: true,
    loggingSteps: 1,
    saveStrategy: 'epoch' as const,
    seed: 0,
  },
  run.pick({
    smoke: { gradientAccumulationSteps: 2, learningRate: 3e-3, maxLength, loggingSteps: 5 },
    data: { gradientAccumulationSteps: 2, learningRate: 3e-3, maxLength, loggingSteps: 5 },
    full: {},
  }),
)
const trainer = new SFTTrainer({
  model,
  tokenizer,
  peftConfig,
  args: { ...args, outputDir: join(run.outputDir, 'trainer') },
  trainDataset: trainRows.map(tokenize),
})
trainer.peft!.printTrainableParameters()
const result = await trainer.train()
showSvg(lossChart(result), join(run.outputDir, 'loss.svg'))

// %% [markdown]
// ## After
//
// Accuracy and macro F1 are read from the free answers: the decision the model states, whatever stands around it. ROUGE and BLEU compare the
// reasons with the study's own conclusion.

// %%
const after = await answer(model, questions, 'after')
const wantedDecisions = test.map(({ decision }) => decision)
const reasons = (answers: readonly string[]) => answers.map((text) => text.replace(/^Decision: \w+\.\s*/, ''))
const report = await compare({
  rows: test.map((row, i) => ({
    id: row.id,
    prompt: `${row.contexts.join('\n')}\n\n${row.question}`,
    reference: row.longAnswer,
    outputs: { base: reasons(before)[i]!, tuned: reasons(after)[i]! },
  })),
  metrics: ['rouge', 'bleu'],
  results: [
    {
      name: 'accuracy',
      scores: Object.fromEntries(
        Object.entries({ base: before, tuned: after }).map(([name, answers]) => [
          name,
          pubmedQa({ predictions: answers, references: wantedDecisions }).decisions.map((d, i) =>
            d === wantedDecisions[i] ? 1 : 0,
          ),
        ]),
      ),
    },
  ],
  title: 'PubMedQA before and after fine-tuning',
  outputFolder: join(run.outputDir, 'report'),
})
showScores(report, { file: join(run.outputDir, 'scores.svg'), only: ['accuracy', 'rouge1', 'rougeL', 'BLEU'] })
const scored = {
  base: pubmedQa({ predictions: before, references: wantedDecisions }),
  tuned: pubmedQa({ predictions: after, references: wantedDecisions }),
}
const majority = Math.max(...decisions.map((d) => wantedDecisions.filter((w) => w === d).length)) / test.length
showTable(
  ['', 'accuracy', 'macro F1', 'no decision given'],
  [
    ['always the most frequent decision', percent(majority), '–', '–'],
    ...Object.entries(scored).map(([name, { accuracy, macroF1, unread }]) => [
      name,
      percent(accuracy),
      macroF1.toFixed(3),
      String(unread),
    ]),
  ],
)
showTable(
  ['wanted \\ answered', ...decisions, 'none'],
  decisions.map((wanted) => [
    wanted,
    ...[...decisions, null].map((said) =>
      String(test.filter((row, i) => row.decision === wanted && scored.tuned.decisions[i] === said).length),
    ),
  ]),
  { caption: 'Decisions of the tuned model' },
)

// %% [markdown]
// ## Merge, save, load, chat
//
// The update is folded into the dequantized weights, saved in 16 bits and loaded from disk. From here on answers are drawn, with temperature 0.7 from
// the most likely tokens that make up 90%. A conversation that grows beyond the budget forgets its oldest turns, never the system message.

// %%
await trainer.saveModel(join(run.outputDir, 'adapter'))
trainer.peft!.mergeAndUnload()
const merged = join(run.outputDir, 'merged')
await savePretrained(model, merged, { dtype: 'bfloat16', tokenizer })
const served = await loadModel(merged)
const again = await answer(served, questions, 'merged')
const mergedAccuracy = pubmedQa({ predictions: again, references: wantedDecisions }).accuracy
console.log(
  `accuracy of the merged model: ${percent(mergedAccuracy)} (adapter on four bits: ${percent(scored.tuned.accuracy)})`,
)

const budget = run.pick({ smoke: 400, data: 900, full: 2048 })
let history: Message[] = []
let most = 0
for (const row of test.slice(0, 3)) {
  history = history.length === 0 ? ask(row.question, row.contexts) : [...history, ask(row.question, row.contexts)[1]!]
  const { ids, messages: asked } = fitChat(tokenizer, history, { maxTokens: budget - 64, chat: { template: 'chatml' } })
  most = Math.max(most, ids.length)
  const [reply] = await answer(served, [asked], 'chat', { doSample: true, temperature: 0.7, topP: 0.9, seed: 0 })
  console.log(
    `> ${row.question}\n${reply}\n(${asked.length - 1} of ${history.length - 1} messages fit into the budget)\n`,
  )
  history = [...history, { role: 'assistant', content: reply! }]
}

// %% [markdown]
// ## What the abstract is worth
//
// So far every question came with its abstract. Without it the model has only what it remembers. The difference is what a search for passages can bring:
// its results go into `ask(question, passages)`.

// %%
const alone = await answer(
  served,
  test.map(({ question }) => ask(question, [])),
  'without context',
)
const aloneAccuracy = pubmedQa({ predictions: alone, references: wantedDecisions }).accuracy
showTable(
  ['the tuned model is given', 'accuracy'],
  [
    ['the abstract', percent(mergedAccuracy)],
    ['nothing', percent(aloneAccuracy)],
  ],
)

// %%
const score = (name: string, system: string) =>
  report.summary.metrics.find((metric) => metric.name === name)!.systems.find((each) => each.system === system)!.score
saveFigures(run, {
  trainable: plan.trainable,
  loss: { first: result.logs[0]!.loss, last: result.logs.at(-1)!.loss },
  tokensPerSecond: result.numTokens / result.trainRuntime,
  accuracy: {
    base: scored.base.accuracy,
    tuned: scored.tuned.accuracy,
    merged: mergedAccuracy,
    withoutContext: aloneAccuracy,
    majority,
  },
  macroF1: { base: scored.base.macroF1, tuned: scored.tuned.macroF1 },
  rougeL: { base: score('rougeL', 'base'), tuned: score('rougeL', 'tuned') },
  bleu: { base: score('BLEU', 'base'), tuned: score('BLEU', 'tuned') },
  longestChat: most,
  chatBudget: budget,
  files: [
    'rows/train.jsonl',
    'adapter/adapter_config.json',
    'merged/model.safetensors',
    'report/report.html',
    'scores.svg',
  ],
})
