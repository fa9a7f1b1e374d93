// %% [markdown]
// # Patient notes to summaries, and whether it got better
//
// A code model of seven billion parameters learns to summarise patient notes: **CodeLlama-7B**, QLoRA on all linear layers. The pipeline is
// the one people run on rented machines: long notes are filtered out first, short ones packed, a spot instance may end at any moment, the result is
// merged and saved in shards.
//
// The question such a pipeline often leaves open is the one that counts: **is it better?** The second half answers it five ways: format
// checks, ROUGE with significance, a blind review sheet for people, a judge, and a report.
//
// ```sh
// npm run example -- patient-summaries --smoke
// ```

// %%
import { readdir, readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { writeFileAtomic } from '@tunesmith/core'
import { applyLengthPolicy, Dataset, formatDataset, histogramSvg, loadDataset } from '@tunesmith/datasets'
import {
  blindReview,
  compare,
  judgePairs,
  lengthBetween,
  lineChart,
  noCode,
  noPromptEcho,
  noTemplateTokens,
  requiredSections,
  runChecks,
  sampleSize,
} from '@tunesmith/eval-metrics'
import { loadModel, savePretrained } from '@tunesmith/models'
import { loadPeftModel } from '@tunesmith/peft-lora'
import { buildExample, Tokenizer } from '@tunesmith/tokenization'
import {
  answerAll,
  bytesText,
  count,
  EMBEDDED_MODEL,
  lengthsOf,
  percent,
  pText,
  saveFigures,
  saveRows,
  showPlan,
  showScores,
  showSettings,
  showSvg,
  showTable,
  startExample,
} from 'example-kit'
import { lengthTable } from './length-table'
import { type Note, readNote, sharedSections, toExample } from './note-format'
import { packingTrial } from './packing-trial'
import { chooseJudge } from './rule-judge'
import { layOutJob, runJobProcess } from './spot'

const run = await startExample(import.meta.url)

// %% [markdown]
// ## What the full run takes

// %%
const lora = { r: 16, loraAlpha: 8, targetModules: 'all-linear' } as const
const plan = showPlan(run, 'codellama/CodeLlama-7b-Instruct-hf', {
  weights: 'nf4',
  lora: {
    r: lora.r,
    targetModules: ['q_proj', 'k_proj', 'v_proj', 'o_proj', 'gate_proj', 'up_proj', 'down_proj'],
  },
  optimizerBytes: 8,
  tokens: 2048,
  gradientCheckpointing: true,
})

// %% [markdown]
// ## The notes
//
// Each row has a `prompt` (the note), a `completion` (the summary a colleague wrote) and an `id`. The id names the row and must never be learnt.

// %%
const source = run.pick({
  smoke: { train: join(run.folder, 'data', 'train.jsonl'), test: join(run.folder, 'data', 'test.jsonl') },
  data: { train: join(run.dataDir, 'ori_pqal.json'), test: '' },
  full: { train: 'AGBonnet/augmented-clinical-notes', test: '' },
})
const load = async (path: string): Promise<Note[]> => (await loadDataset(path)).toArray().map(readNote)
const rows = await load(source.train)
const split = source.test
  ? { train: rows, test: await load(source.test) }
  : (() => {
      const parts = Dataset.fromRows(rows).trainTestSplit({ testSize: 100, seed: 0 })
      return { train: parts.train.toArray(), test: parts.test.toArray() }
    })()
console.log(`${split.train[0]!.prompt}\n\n${split.train[0]!.completion}`)
console.log(formatDataset(Dataset.fromRows(split.train)).explanation)

// %% [markdown]
// ## Too long to learn from
//
// A note that does not fit loses the end of its summary, and a model that never sees an end never stops. Rows that are too long are taken out before
// training, and it is worth looking at which.

// %%
const base = run.baseModel('codellama/CodeLlama-7b-Instruct-hf')
const tokenizer = await Tokenizer.fromPretrained(base)
const maxLength = run.pick({ smoke: 384, data: 640, full: 2048 })
const tokenized = split.train.map((note) => ({ ...buildExample(tokenizer, toExample(note)), id: note.id }))
const { examples: kept, indices, report: lengthReport } = applyLengthPolicy(tokenized, { maxLength, policy: 'drop' })
showTable(['tokens', 'rows', 'share', ''], lengthTable(tokenized, maxLength), { caption: lengthReport.summary })
showSvg(
  histogramSvg(lengthsOf(tokenized), { title: 'Length of note and summary', unit: 'tokens', maxLength }),
  join(run.outputDir, 'lengths.svg'),
)
const dropped = tokenized.filter(({ inputIds }) => inputIds.length > maxLength)
showTable(
  ['dropped', 'tokens', 'begins'],
  dropped
    .slice(0, 5)
    .map(({ id, inputIds, text }) => [id, count(inputIds.length), text.replace('### Note\n', '').slice(0, 70)]),
)
const trainLimit = run.pick({ smoke: 480, data: run.quick ? 96 : 320, full: Number.POSITIVE_INFINITY })
const chosen = new Set(indices.slice(0, trainLimit))
const train = split.train.filter((_, i) => chosen.has(i))
const trainExamples = kept.slice(0, trainLimit)
const leaked = trainExamples.filter(({ text, id }) => text.includes(id)).length
console.log(`ids found in the texts that are trained on: ${leaked} of ${trainExamples.length}`)

// %% [markdown]
// ## Packing, off and on
//
// Packing lays several notes end to end into rows of the full length. In Tunesmith neither way computes padding, so packing does not save what it saves
// elsewhere; it makes every step about equally large. Both ways see about the same number of tokens in a step:

// %%
const quantizationConfig = { loadIn4bit: true, bnb4bitQuantType: 'nf4', bnb4bitUseDoubleQuant: true } as const
const model = await loadModel(base, { quantizationConfig })
const learningRate = run.pick({ smoke: 5e-3, data: 5e-3, full: 2e-4 })
const packing = await packingTrial({
  model,
  peftConfig: lora,
  examples: trainExamples,
  maxLength,
  learningRate,
  steps: run.pick({ smoke: 4, data: 2, full: 10 }),
  outputDir: run.outputDir,
})
showTable(
  ['packing', 'rows of a batch', 'notes in a row', 'tokens per step', 'tokens per second', 'loss at the end'],
  (['off', 'on'] as const).map((way) => {
    const { rows: batch, notesPerRow, sizes, tokensPerSecond, loss } = packing[way]
    const tokens = `${Math.min(...sizes)} to ${Math.max(...sizes)}`
    return [way, String(batch), notesPerRow.toFixed(1), tokens, count(tokensPerSecond), loss.toFixed(3)]
  }),
  { caption: `${percent(packing.efficiency)} of the packed rows is filled` },
)

// %% [markdown]
// ## Before
//
// The base model summarises the test notes.

// %%
const maxNewTokens = run.pick({ smoke: 112, data: 128, full: 400 })
const test = split.test
  .filter(
    (note) =>
      tokenizer.encode(toExample(note).prompt).ids.length + maxNewTokens <=
      run.pick({ smoke: 512, data: 700, full: 4096 }),
  )
  .slice(0, run.pick({ smoke: 46, data: run.quick ? 12 : 40, full: 200 }))
saveRows(run, { train: train.map(toExample), test: test.map(toExample) })
const prompts = test.map((note) => toExample(note).prompt)
const before = await answerAll(model, tokenizer, prompts, { label: 'before', maxNewTokens, batchSize: 24 })

// %% [markdown]
// ## On a spot instance
//
// Spot instances are cheap because they end at short notice: SIGTERM, then nothing. The training runs as a managed service would run it, in the
// container's entry point with its folders laid out as SageMaker does:
//
// | folder | what is in it |
// | --- | --- |
// | `input/data/train`, `input/data/model` | channels: the rows, the base model |
// | `input/config/hyperparameters.json` | settings, all of them text |
// | `checkpoints` | survives the machine |
// | `model` | the result |
//
// A third of the way through, the process gets SIGTERM. It finishes its step, writes a checkpoint, and exits with 143. Started again with
// the same folders, it goes on.

// %%
const settings = showSettings(
  {
    lora_r: '16',
    lora_alpha: '8',
    lora_target_modules: 'all-linear',
    load_in_4bit: 'true',
    learning_rate: '0.0002',
    lr_scheduler_type: 'cosine',
    warmup_ratio: '0.03',
    per_device_train_batch_size: '4',
    gradient_accumulation_steps: '4',
    num_train_epochs: '1',
    max_steps: '-1',
    max_length: String(maxLength),
    packing: 'true',
    gradient_checkpointing: 'true',
    save_strategy: 'steps',
    save_steps: '50',
    logging_steps: '5',
  },
  run.pick({
    smoke: {
      learning_rate: String(learningRate),
      gradient_accumulation_steps: '1',
      max_steps: '64',
      save_steps: '20',
      gradient_checkpointing: 'false',
    },
    data: {
      learning_rate: String(learningRate),
      gradient_accumulation_steps: '1',
      max_steps: run.quick ? '12' : '40',
      save_steps: '20',
      gradient_checkpointing: 'false',
    },
    full: {},
  }),
)
const job = join(run.outputDir, 'ml')
layOutJob(job, { rows: train, hyperparameters: settings, ...(run.mode !== 'full' && { baseModel: EMBEDDED_MODEL }) })
const interruptAt = run.pick({ smoke: 21, data: 5, full: 25 })
const first = await runJobProcess(job, { interruptAt })
const saved = (await readdir(join(job, 'checkpoints'))).filter((name) => name.startsWith('checkpoint-'))
const second = await runJobProcess(job)
showTable(
  ['', 'goes on from step', 'last step', 'seconds', 'exit code'],
  [first, second].map(({ resumedStep, losses, seconds, exitCode }, i) => [
    i === 0 ? `SIGTERM at step ${interruptAt}` : 'started again',
    String(resumedStep),
    String(losses.at(-1)?.[0] ?? '–'),
    seconds.toFixed(1),
    String(exitCode),
  ]),
)
console.log(`checkpoints after the interruption: ${saved.join(', ')}`)
showSvg(
  lineChart({
    title: 'Loss per step, before and after the interruption',
    xLabel: 'optimizer step',
    yLabel: 'loss (nats)',
    series: [
      { name: 'first machine', points: first.losses },
      { name: 'second machine', points: second.losses },
    ],
  }),
  join(run.outputDir, 'loss.svg'),
)

// %% [markdown]
// A training that is killed and resumed ends with the same adapter, bit for bit: the tests of `sft-trainer` kill one fifty times.
//
// ## Merge, in shards
//
// The adapter is loaded onto the quantized base and folded in. Files of two gigabytes pass through most upload limits.

// %%
const peft = await loadPeftModel(model, join(job, 'model'))
const after = await answerAll(model, tokenizer, prompts, { label: 'after', maxNewTokens, batchSize: 24 })
peft.mergeAndUnload()
const merged = join(run.outputDir, 'merged')
await savePretrained(model, merged, {
  dtype: 'bfloat16',
  maxShardSize: run.pick({ smoke: '2MB', data: '2MB', full: '2GB' }),
  tokenizer,
})
const shards = (await readdir(merged)).filter((name) => name.endsWith('.safetensors')).sort()
showTable(
  ['file', 'size'],
  await Promise.all(shards.map(async (name) => [name, bytesText((await stat(join(merged, name))).size)])),
  { caption: run.mode === 'full' ? '' : 'Shards of 2 MB here, of 2 GB in the full run' },
)
const reloaded = await answerAll(await loadModel(merged), tokenizer, prompts, {
  label: 'merged',
  maxNewTokens,
  batchSize: 24,
})
const same = reloaded.answers.filter((answer, i) => answer === after.answers[i]).length
console.log(
  `the merged model gives the adapter’s summary for ${same} of ${test.length} notes; the rest differ by rounding to bfloat16`,
)

// %% [markdown]
// ## Is it better? First: is it well-formed?
//
// A summary must have its sections in order, no leaked code (the base is a code model), no template tokens, and must not repeat the note.

// %%
const sections = sharedSections(split.train.map(({ completion }) => completion))
const evalRows = test.map((note, i) => ({
  id: note.id,
  prompt: note.prompt,
  reference: note.completion,
  outputs: { base: before.answers[i]!, tuned: after.answers[i]! },
}))
const words = test.map(({ completion }) => completion.split(/\s+/).length)
const checks = [
  ...(sections.length > 0 ? [requiredSections(sections)] : []),
  noCode(),
  noTemplateTokens(),
  noPromptEcho(),
  lengthBetween({ min: Math.floor(Math.min(...words) / 2), max: Math.max(...words) * 2 }),
]
const checked = runChecks({ rows: evalRows, checks })
showTable(
  ['check', 'base passes', 'tuned passes', 'first failure of the tuned model'],
  checks.map(({ name }) => [
    name === 'required sections' ? `sections in order: ${sections.join(', ')}` : name,
    percent(checked.rates[name]!.base!),
    percent(checked.rates[name]!.tuned!),
    checked.failures.find(({ check, system }) => check === name && system === 'tuned')?.message ?? '–',
  ]),
)

// %% [markdown]
// ## Second: ROUGE, with significance
//
// Intervals are bootstraps over the notes, the test is paired, and p values are corrected for all comparisons made.

// %%
const report = await compare({
  rows: evalRows,
  metrics: ['rouge', 'bleu', 'repetition'],
  checks,
  title: 'Summaries before and after fine-tuning',
  subtitle: `${base === EMBEDDED_MODEL ? 'embedded model' : base}, ${test.length} notes`,
  sections: [{ title: 'Training', html: await readFile(join(run.outputDir, 'loss.svg'), 'utf8') }],
  outputFolder: join(run.outputDir, 'report'),
})
showScores(report, { file: join(run.outputDir, 'scores.svg'), only: ['rouge1', 'rouge2', 'rougeL', 'BLEU'] })
const rougeL = report.metrics.find(({ name }) => name === 'rougeL')!.scores!
const needed = sampleSize({ difference: 0.02, baseScores: rougeL.base!, tunedScores: rougeL.tuned! })
console.log(`to see a difference of 0.02 in ROUGE-L this surely, ${count(needed.rows)} notes would be needed`)

// %% [markdown]
// ## Third: people
//
// The sheet shows both summaries of each note, sides shuffled, without saying which is whose. The key stays here until the sheets come back;
// `scoreReview` then counts them.

// %%
const review = blindReview({ rows: evalRows, limit: Math.min(20, test.length), title: 'Which summary would you sign?' })
const reviewFolder = join(run.outputDir, 'review')
await writeFileAtomic(join(reviewFolder, 'review.html'), review.html)
await writeFileAtomic(join(reviewFolder, 'review.csv'), review.csv)
await writeFileAtomic(join(run.outputDir, 'review.key.json'), review.key)
console.log(`${reviewFolder}: review.html and review.csv for the reviewers; review.key.json stays outside that folder`)

// %% [markdown]
// ## Fourth: a judge
//
// A language model compares the pairs, each in both orders. Any OpenAI-compatible endpoint will do: set `TUNESMITH_JUDGE_URL`,
// `TUNESMITH_JUDGE_MODEL` and `TUNESMITH_JUDGE_KEY`. Without one, a local server answers by a plain rule, ROUGE-L against the reference, and says so: it
// shows the machinery and adds no opinion of its own.

// %%
const { stop, ...judge } = await chooseJudge()
const judged = await judgePairs({ rows: evalRows, ...judge, journal: join(run.outputDir, 'judge.jsonl') })
await stop()
showTable(
  ['judge', 'base preferred', 'tuned preferred', 'ties', 'position bias', 'p'],
  [
    [
      judge.model,
      String(judged.wins.base),
      String(judged.wins.tuned),
      String(judged.ties),
      percent(judged.positionBias ?? 0),
      pText(judged.pValue),
    ],
  ],
)

// %% [markdown]
// ## Fifth: a report to pass on
//
// One HTML page with every score, failed check and pair of summaries. Here are two of them.

// %%
showTable(
  ['note', 'written by a colleague', 'base', 'tuned'],
  test
    .slice(0, 2)
    .map(({ prompt, completion }, i) =>
      [prompt, completion, before.answers[i]!, after.answers[i]!].map((text) =>
        text.length > 420 ? `${text.slice(0, 420)}…` : text,
      ),
    ),
)
console.log(`the whole report: ${join(run.outputDir, 'report', 'report.html')}`)

// %%
const score = (name: string, system: string) =>
  report.summary.metrics.find((metric) => metric.name === name)!.systems.find((each) => each.system === system)!
saveFigures(run, {
  trainable: plan.trainable,
  dropped: dropped.length,
  longestKept: Math.max(...trainExamples.map(({ inputIds }) => inputIds.length)),
  idsInTraining: leaked,
  packing: {
    efficiency: packing.efficiency,
    speedOff: packing.off.tokensPerSecond,
    speedOn: packing.on.tokensPerSecond,
  },
  spot: {
    firstExit: first.exitCode,
    firstLast: first.losses.at(-1)?.[0],
    resumedStep: second.resumedStep,
    secondExit: second.exitCode,
    last: second.losses.at(-1)?.[0],
  },
  loss: { first: first.losses[0]![1], last: second.losses.at(-1)![1] },
  shards: shards.length,
  mergedSame: same / test.length,
  sections,
  passes: checked.rates,
  rougeL: {
    base: score('rougeL', 'base').score,
    tuned: score('rougeL', 'tuned').score,
    pValue: score('rougeL', 'tuned').comparison!.correctedPValue,
  },
  judge: { wins: judged.wins, ties: judged.ties, positionBias: judged.positionBias },
  files: [
    'rows/train.jsonl',
    'ml/model/adapter_config.json',
    'merged/model.safetensors.index.json',
    'report/report.html',
    'review/review.html',
    'review.key.json',
  ],
})
