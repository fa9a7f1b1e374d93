// %% [markdown]
// # Preferences: the summaries, in the order that the house wants
//
// Two wards wrote the summaries that a model learns from, one from *Patient* to *Plan*, the other from *Plan* to *Patient*. Supervised fine-tuning
// learns what is there: both. Nobody can say in a completion what is **not** wanted. A pair can: the same summary twice, once as the house
// wants it, once not.
//
// This goes on where [patient-summaries](../patient-summaries) ends. A model learns the notes first (SFT), then the same adapter learns from
// pairs (DPO), and three measures say whether it helped: how often each model finds the better side more likely, whether its answers keep the
// order, and whether they still say the same (ROUGE).
//
// ```sh
// npm run example -- preference-patient-summaries --smoke
// ```

// %%
import { join } from 'node:path'
import { Dataset, formatPreferences, loadDataset } from '@tunesmith/datasets'
import { compare, lineChart, requiredSections, runChecks } from '@tunesmith/eval-metrics'
import { loadModel, savePretrained } from '@tunesmith/models'
import { DPOTrainer, type PreferenceAccuracy, preferenceAccuracy } from '@tunesmith/preference-trainer'
import { lossChart, SFTTrainer } from '@tunesmith/sft-trainer'
import { Tokenizer } from '@tunesmith/tokenization'
import {
  answerAll,
  count,
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
import { type Note, readNote, sharedSections, toExample } from 'patient-summaries/note-format'
import { makePairs, ofTwoWards } from './pairs'

const run = await startExample(import.meta.url)

// %% [markdown]
// ## What the full run takes
//
// A micro-batch of DPO holds both sides of each pair, end to end. What the model said of them before is computed once, ahead of training, so no second
// model takes memory.

// %%
const lora = { r: 16, loraAlpha: 8, targetModules: 'all-linear' } as const
const plan = showPlan(run, 'codellama/CodeLlama-7b-Instruct-hf', {
  weights: 'nf4',
  lora: {
    r: lora.r,
    targetModules: ['q_proj', 'k_proj', 'v_proj', 'o_proj', 'gate_proj', 'up_proj', 'down_proj'],
  },
  optimizerBytes: 8,
  tokens: 2 * 2048,
  gradientCheckpointing: true,
})

// %% [markdown]
// ## Two wards
//
// Half of the training summaries, drawn from a seed, are turned around. (Where summaries have no sections, as in PubMedQA, nothing is turned, and
// the worse side of a pair is the summary of another text.)

// %%
const notesOf = async (path: string): Promise<Note[]> => (await loadDataset(path)).toArray().map(readNote)
const shared = join(run.folder, '..', 'patient-summaries', 'data')
const source = run.pick({
  smoke: { train: join(shared, 'train.jsonl'), test: join(shared, 'test.jsonl') },
  data: { train: join(run.dataDir, 'ori_pqal.json'), test: '' },
  full: { train: 'AGBonnet/augmented-clinical-notes', test: '' },
})
const all = await notesOf(source.train)
const split = source.test
  ? { train: all, test: await notesOf(source.test) }
  : (() => {
      const parts = Dataset.fromRows(all).trainTestSplit({ testSize: 100, seed: 0 })
      return { train: parts.train.toArray(), test: parts.test.toArray() }
    })()
const base = run.baseModel('codellama/CodeLlama-7b-Instruct-hf')
const tokenizer = await Tokenizer.fromPretrained(base)
const maxLength = run.pick({ smoke: 384, data: 640, full: 2048 })
const ask = (note: Note) => toExample(note).prompt
const tokens = (note: Note) => tokenizer.encode(ask(note) + note.completion).ids.length
const fit = (notes: readonly Note[], limit: number) => notes.filter((note) => tokens(note) < maxLength).slice(0, limit)
const train = fit(split.train, run.pick({ smoke: 456, data: run.quick ? 96 : 290, full: Number.POSITIVE_INFINITY }))
const test = fit(split.test, run.pick({ smoke: 40, data: run.quick ? 12 : 40, full: 200 }))
const sections = sharedSections(train.map(({ completion }) => completion))
const written = sections.length > 0 ? ofTwoWards(train, 0) : train
for (const note of written.slice(0, 2)) console.log(`${note.completion}\n`)

// %% [markdown]
// ## First: supervised fine-tuning
//
// On all of them, as they were written.

// %%
const quantizationConfig = { loadIn4bit: true, bnb4bitQuantType: 'nf4', bnb4bitUseDoubleQuant: true } as const
const model = await loadModel(base, { quantizationConfig })
const maxNewTokens = run.pick({ smoke: 112, data: 128, full: 400 })
const prompts = test.map(ask)
const answer = (label: string) => answerAll(model, tokenizer, prompts, { label, maxNewTokens, batchSize: 24 })
const pairs = { train: makePairs(train, sections, ask), test: makePairs(test, sections, ask) }
const heldOut = Dataset.fromRows(pairs.test)
const preferring = () => preferenceAccuracy(model, tokenizer, heldOut, { maxLength: 2 * maxLength })

const answers = { base: (await answer('base')).answers, sft: [] as string[], dpo: [] as string[] }
const preferences: Record<keyof typeof answers, PreferenceAccuracy> = {} as never
preferences.base = await preferring()
const loop = {
  perDeviceTrainBatchSize: 4,
  lrSchedulerType: 'cosine' as const,
  warmupRatio: 0.03,
  maxLength,
  saveStrategy: 'no' as const,
  gradientCheckpointing: run.mode === 'full',
}
const sftTrainer = new SFTTrainer({
  model,
  tokenizer,
  peftConfig: lora,
  args: {
    ...loop,
    outputDir: join(run.outputDir, 'sft'),
    learningRate: run.pick({ smoke: 5e-3, data: 5e-3, full: 2e-4 }),
    packing: true,
    maxSteps: run.pick({ smoke: 90, data: run.quick ? 12 : 60, full: -1 }),
    loggingSteps: 5,
  },
  trainDataset: Dataset.fromRows(written.map(toExample)),
})
const sft = await sftTrainer.train()
await sftTrainer.saveModel(join(run.outputDir, 'sft-adapter'))
showSvg(lossChart(sft), join(run.outputDir, 'sft.svg'))
answers.sft = (await answer('after SFT')).answers
preferences.sft = await preferring()

// %% [markdown]
// Some of its answers come in one order, some in the other. As it was taught:

// %%
const inOrder = (texts: readonly string[]) => {
  if (sections.length === 0) return Number.NaN
  const rows = texts.map((text, i) => ({ id: String(i), prompt: prompts[i]!, outputs: { it: text } }))
  return runChecks({ rows, checks: [requiredSections(sections)] }).rates['required sections']!.it!
}
const orders = { base: inOrder(answers.base), sft: inOrder(answers.sft) }
const orderText = (share: number) => (Number.isNaN(share) ? 'no sections' : percent(share))
showTable(
  ['model', 'sections in the order of the house'],
  [
    ['base', orderText(orders.base)],
    ['after SFT', orderText(orders.sft)],
  ],
)

// %% [markdown]
// ## Pairs
//
// The chosen side is what the house wants, the rejected one what it does not. Both say the same things; only the order differs, so only the
// order can be learnt.

// %%
saveRows(run, pairs)
const { explanation } = await formatPreferences(Dataset.fromRows(pairs.train))
console.log(explanation)
showTable(
  ['', 'chosen', 'rejected'],
  pairs.train
    .slice(0, 2)
    .map(({ chosen, rejected }, i) => [String(i + 1), chosen.slice(0, 400), rejected.slice(0, 400)]),
)

// %% [markdown]
// ## Then: direct preference optimization
//
// The adapter goes on learning, against itself as it was: the loss grows with how much *more* likely the rejected side has become than it was,
// compared with the chosen one. The plain likelihood of the chosen side (`sft`) is added to keep the answers themselves likely, which DPO alone does
// not promise: it is content when the rejected side falls faster.

// %%
const settings = showSettings(
  {
    beta: 0.1,
    learningRate: 1e-5,
    perDeviceTrainBatchSize: 2,
    gradientAccumulationSteps: 8,
    maxSteps: -1,
    lossType: ['sigmoid', 'sft'] as ('sigmoid' | 'sft')[],
    lossWeights: [1, 1],
    loggingSteps: 5,
  },
  run.pick({
    smoke: {
      learningRate: 1e-3,
      perDeviceTrainBatchSize: 4,
      gradientAccumulationSteps: 1,
      maxSteps: 50,
      loggingSteps: 1,
    },
    data: {
      learningRate: 1e-3,
      perDeviceTrainBatchSize: 4,
      gradientAccumulationSteps: 1,
      maxSteps: run.quick ? 6 : 50,
      loggingSteps: 1,
    },
    full: {},
  }),
)
const trainer = new DPOTrainer({
  model: sftTrainer.peft!,
  tokenizer,
  trainDataset: Dataset.fromRows(pairs.train),
  args: { ...loop, ...settings, maxLength: 2 * maxLength, outputDir: join(run.outputDir, 'dpo') },
})
const dpo = await trainer.train()
const curve = (name: string) => dpo.logs.map((log) => [log.step, Number(log[name])] as [number, number])
showSvg(
  lineChart({
    title: 'Rewards: how much likelier than before, times beta',
    xLabel: 'optimizer step',
    yLabel: 'reward (nats x beta)',
    series: [
      { name: 'chosen', points: curve('rewards/chosen') },
      { name: 'rejected', points: curve('rewards/rejected') },
    ],
  }),
  join(run.outputDir, 'rewards.svg'),
)
answers.dpo = (await answer('after DPO')).answers
preferences.dpo = await preferring()

// %% [markdown]
// ## Did it help?
//
// On notes and pairs that no training saw.

// %%
const shares = { ...orders, dpo: inOrder(answers.dpo) }
const names = { base: 'base', sft: 'after SFT', dpo: 'after DPO' }
showTable(
  ['model', 'finds the chosen side more likely', 'margin (nats per token)', 'sections in order'],
  (Object.keys(names) as (keyof typeof names)[]).map((key) => [
    names[key],
    `${percent(preferences[key].accuracy)} of ${preferences[key].pairs}`,
    preferences[key].margin.toFixed(3),
    orderText(shares[key]),
  ]),
)
const report = await compare({
  rows: test.map((note, i) => ({
    id: note.id,
    prompt: prompts[i]!,
    reference: note.completion,
    outputs: { base: answers.base[i]!, SFT: answers.sft[i]!, DPO: answers.dpo[i]! },
  })),
  metrics: ['rouge', 'bleu'],
  checks: sections.length > 0 ? [requiredSections(sections)] : [],
  baseline: 'SFT',
  title: 'Summaries: base, SFT, DPO',
  subtitle: `${run.mode === 'full' ? base : 'embedded model'}, ${count(test.length)} notes`,
  outputFolder: join(run.outputDir, 'report'),
})
showScores(report, { file: join(run.outputDir, 'scores.svg'), only: ['rouge1', 'rougeL', 'BLEU'] })
showTable(
  ['note', 'after SFT', 'after DPO'],
  test.slice(0, 3).map(({ id }, i) => [id, answers.sft[i]!, answers.dpo[i]!]),
)
console.log(`the whole report: ${join(run.outputDir, 'report', 'report.html')}`)

// %% [markdown]
// ## Save
//
// The adapter holds both lessons. Python's PEFT loads it; merged, it is a plain checkpoint.

// %%
await trainer.saveModel(join(run.outputDir, 'adapter'))
trainer.peft!.mergeAndUnload()
const merged = join(run.outputDir, 'merged')
await savePretrained(model, merged, { dtype: 'bfloat16', tokenizer })
console.log(`talk to it: npx tunesmith chat ${merged}`)

// %%
const rougeL = report.summary.metrics.find(({ name }) => name === 'rougeL')!.systems
saveFigures(run, {
  trainable: plan.trainable,
  sections,
  pairs: pairs.train.length,
  loss: { sft: [sft.logs[0]!.loss, sft.logs.at(-1)!.loss], dpo: [dpo.logs[0]!.loss, dpo.logs.at(-1)!.loss] },
  rewards: { chosen: curve('rewards/chosen').at(-1)![1], rejected: curve('rewards/rejected').at(-1)![1] },
  preferences,
  inOrder: shares,
  rougeL: Object.fromEntries(rougeL.map(({ system, score }) => [system, score])),
  files: [
    'rows/train.jsonl',
    'sft-adapter/adapter_config.json',
    'adapter/adapter_config.json',
    'merged/model.safetensors',
    'report/report.html',
  ],
})
