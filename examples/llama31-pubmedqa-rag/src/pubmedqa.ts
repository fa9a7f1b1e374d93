// %% [markdown]
// # Yes, no or maybe: Llama 3.1 reads medical studies
//
// **PubMedQA** asks a question about a study, gives the abstract without its conclusion, and wants *yes*, *no* or *maybe* with the reason. This
// notebook fine-tunes **Llama-3.1-8B** for it, from a checkpoint that is already in four bits, with a rank-stabilised LoRA adapter on all seven linear
// layers of each block; then merges, saves, loads again and chats. At the end a search of its own finds the abstracts, and every citation is checked.
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
import {
  checkCitations,
  createIndex,
  evaluateAnswers,
  evaluateRetrieval,
  type RagPrompt,
  type SearchMode,
  sentenceEncoder,
} from '@tunesmith/retrieval'
import { lossChart, SFTTrainer } from '@tunesmith/sft-trainer'
import { buildExample, type Message, Tokenizer } from '@tunesmith/tokenization'
import {
  answerAll,
  bytesText,
  count,
  EMBEDDED_MODEL,
  percent,
  range,
  saveFigures,
  saveRows,
  showPlan,
  showScores,
  showSettings,
  showSvg,
  showTable,
  startExample,
} from 'example-kit'
import { answerText, ask, type Question, readQuestion, reasonOf, studyOf, withoutCitations } from './pubmedqa-row'

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
// Each row becomes a conversation in ChatML: numbered studies, the question, and an answer that cites its study by number. Every second question
// comes with another study too, so that the model learns to choose. System message, studies and question are read, only the answer is learnt.

// %%
const maxLength = run.pick({ smoke: 512, data: 1000, full: 2048 })
const promptTokens = maxLength - run.pick({ smoke: 110, data: 200, full: 400 })
const asking = ({ question }: Question, studies: readonly Question[]) =>
  ask(question, studies.map(studyOf), { maxTokens: promptTokens, countTokens: tokens })
/** The conversation that is learnt; undefined where the question's own study does not fit. */
const toExample = (row: Question, studies: readonly Question[]) => {
  const { messages, used } = asking(row, studies)
  const own = used.find(({ id }) => id === row.id)
  return own && { prompt: messages, completion: [{ role: 'assistant', content: answerText(row, own.number) }] }
}
type Example = NonNullable<ReturnType<typeof toExample>>
const tokenize = (example: Example): TokenizedExample => buildExample(tokenizer, example, { template: 'chatml' })
const fits = (row: Question) => {
  const example = toExample(row, [row])
  return example !== undefined && tokenize(example).inputIds.length <= maxLength
}
const fitting = split.train.filter(fits).slice(0, run.pick({ smoke: 560, data: run.quick ? 60 : 240, full: 800 }))
const test = split.test.filter(fits).slice(0, run.pick({ smoke: 60, data: run.quick ? 16 : 48, full: 200 }))
const trainExamples = fitting.map((row, i) => {
  const other = fitting[(i + 1) % fitting.length]!
  const studies = [[row], [row, other], [row], [other, row]][i % 4]!
  return (toExample(row, studies) ?? toExample(row, [row]))!
})
const testExamples = test.map((row) => toExample(row, [row])!)
console.log(
  tokenizer.applyChatTemplate([...trainExamples[1]!.prompt, ...trainExamples[1]!.completion], { template: 'chatml' }),
)
// As rendered text, because the full run's tokenizer has no chat template of its own.
const toRow = ({ prompt, completion }: Example) => ({
  prompt: tokenizer.applyChatTemplate(prompt, { template: 'chatml', addGenerationPrompt: true }),
  completion: `${completion[0]!.content}<|im_end|>`,
})
saveRows(run, { train: trainExamples.map(toRow), test: testExamples.map(toRow) })

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
const questions = testExamples.map(({ prompt }) => prompt)
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
    smoke: { gradientAccumulationSteps: 2, numTrainEpochs: 2, learningRate: 3e-3, maxLength, loggingSteps: 5 },
    data: { gradientAccumulationSteps: 2, learningRate: 3e-3, maxLength, loggingSteps: 5 },
    full: {},
  }),
)
const trainer = new SFTTrainer({
  model,
  tokenizer,
  peftConfig,
  args: { ...args, outputDir: join(run.outputDir, 'trainer') },
  trainDataset: trainExamples.map(tokenize),
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
const reasonText = (text: string) => withoutCitations(reasonOf(text))
const report = await compare({
  rows: test.map((row, i) => ({
    id: row.id,
    prompt: `${row.contexts.join('\n')}\n\n${row.question}`,
    reference: row.longAnswer,
    outputs: { base: reasonText(before[i]!), tuned: reasonText(after[i]!) },
  })),
  metrics: ['rouge', 'bleu'],
  results: [
    {
      name: 'accuracy',
      scores: Object.fromEntries(
        Object.entries({ base: before, tuned: after }).map(([name, answers]) => [
          name,
          pubmedQa({ predictions: [...answers], references: wantedDecisions }).decisions.map((d, i) =>
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
for (const [i, row] of test.slice(0, 3).entries()) {
  history = i === 0 ? questions[i]! : [...history, questions[i]![1]!]
  const { ids, messages: asked } = fitChat(tokenizer, history, { maxTokens: budget - 64, chat: { template: 'chatml' } })
  most = Math.max(most, ids.length)
  const [reply] = await answer(served, [asked], 'chat', { doSample: true, temperature: 0.7, topP: 0.9, seed: 0 })
  console.log(
    `> ${row.question}\n${reply}\n(${asked.length - 1} of ${history.length - 1} messages fit into the budget)\n`,
  )
  history = [...history, { role: 'assistant', content: reply! }]
}

// %% [markdown]
// ## A search of its own
//
// So far every question came with its abstract. Now the abstracts go into an index, and each question has to find its own: by words (BM25), by
// vectors of an offline sentence encoder, by both. In the sample only the studies of the test part are indexed: invented ones contradict each other.

// %%
const corpus = run.pick({ smoke: test, data: run.quick ? test : rows, full: rows })
const index = await createIndex(join(run.outputDir, 'index'), {
  embedder: await sentenceEncoder(),
  chunk: { maxTokens: 1000, overlap: 0 },
})
const { duplicates } = await index.add(corpus.map(studyOf))
console.log(
  `${count(index.size.documents)} abstracts in ${count(index.size.chunks)} chunks, ${duplicates.length} left out as copies`,
)
const searched = await evaluateRetrieval({
  index,
  questions: test.map(({ id, question }) => ({ question, documents: [id] })),
  title: 'Which search finds the abstract',
  outputFolder: join(run.outputDir, 'retrieval'),
})
const found = ['recall@1', 'recall@5', 'MRR@10']
showTable(
  ['search', ...found],
  Object.entries(searched.systems).map(([name, { scores }]) => [
    name,
    ...found.map((metric) => range({ ...scores[metric]!, score: scores[metric]!.mean })),
  ]),
  { caption: searched.verdicts.join('; ') },
)

// %% [markdown]
// ## Answers with what was found
//
// The best abstract, or the two best ones, are numbered and given. The answer's citations are looked up among them, and a claim is flagged when its words do
// not stand in what it cites.

// %%
const best = Object.entries(searched.systems).reduce((a, b) =>
  b[1].scores['MRR@10']!.mean > a[1].scores['MRR@10']!.mean ? b : a,
)[0] as SearchMode
const answerFrom = async (studies: number) => {
  const prompts: RagPrompt[] = []
  for (const { question } of test) {
    const passages = await index.search(question, { mode: best, k: studies, perDocument: true })
    prompts.push(ask(question, passages, { maxTokens: promptTokens, countTokens: tokens }))
  }
  const asked = prompts.map(({ messages }) => messages)
  const answers = await answer(served, asked, `with ${studies} found`)
  return prompts.map(({ used }, i) => ({
    answer: answers[i]!,
    used,
    checked: checkCitations(reasonOf(answers[i]!), used),
  }))
}
const fromOne = await answerFrom(1)
const fromTwo = await answerFrom(2)
index.close()
showTable(
  ['question', 'given', 'answer', 'cites', 'its study', 'claims supported'],
  fromTwo
    .slice(0, 8)
    .map(({ answer: text, used, checked: { citations, claims } }, i) => [
      test[i]!.question,
      used.map(({ number, document }) => `[${number}] ${document}`).join(', '),
      text,
      citations.map(({ number, passage }) => `[${number}] ${passage?.document ?? 'not given'}`).join(', '),
      test[i]!.id,
      `${claims.filter(({ supported }) => supported).length} of ${claims.length}`,
    ]),
  { caption: `Searched with ${best}` },
)

// %% [markdown]
// ## What retrieval is worth
//
// The same questions without an abstract, with their own, and with what the search found:

// %%
const alone = await answer(
  served,
  test.map((row) => asking(row, []).messages),
  'without context',
)
const decided = (text: string, row: number) =>
  pubmedQa({ predictions: [text], references: [wantedDecisions[row]!] }).accuracy
const worth = (answers: typeof fromOne) =>
  evaluateAnswers(
    answers.map(({ answer: text, used }, i) => ({ without: alone[i]!, with: text, used })),
    decided,
  )
const worths = { one: worth(fromOne), two: worth(fromTwo) }
const supported = (answers: typeof fromOne) =>
  answers.reduce((sum, { checked }) => sum + checked.groundedness, 0) / answers.length
const worthRow = (
  name: string,
  { with: score, difference, cited }: (typeof worths)['one'],
  answers: typeof fromOne,
) => [
  name,
  percent(score.mean),
  range({ ...difference, score: difference.difference }),
  percent(cited.mean),
  percent(supported(answers)),
]
showTable(
  ['the tuned model is given', 'accuracy', 'more than without', 'cite only what was given', 'claims supported'],
  [
    ['nothing', percent(worths.one.without.mean), '–', '–', '–'],
    ['the abstract', percent(mergedAccuracy), '–', '–', '–'],
    worthRow('the best abstract that was found', worths.one, fromOne),
    worthRow('the two best', worths.two, fromTwo),
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
    withoutContext: worths.one.without.mean,
    retrieved: worths.one.with.mean,
    retrievedTwo: worths.two.with.mean,
    majority,
  },
  macroF1: { base: scored.base.macroF1, tuned: scored.tuned.macroF1 },
  rougeL: { base: score('rougeL', 'base'), tuned: score('rougeL', 'tuned') },
  bleu: { base: score('BLEU', 'base'), tuned: score('BLEU', 'tuned') },
  recall: Object.fromEntries(
    Object.entries(searched.systems).map(([name, { scores }]) => [name, scores['recall@1']!.mean]),
  ),
  citations: [...fromOne, ...fromTwo].map(({ used, checked: { citations, unknown } }) => ({
    given: used.map(({ document }) => document),
    cited: citations.map(({ passage }) => passage?.document ?? null),
    unknown,
  })),
  longestChat: most,
  chatBudget: budget,
  files: [
    'rows/train.jsonl',
    'adapter/adapter_config.json',
    'merged/model.safetensors',
    'report/report.html',
    'retrieval/report.html',
    'scores.svg',
  ],
})
