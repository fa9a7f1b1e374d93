// %% [markdown]
// # Symptom diagnosis with Starling-LM-7B
//
// People describe what ails them in their own words. Before a program can help, it must see which diseases and which medicines
// they speak of. This notebook teaches that to a language model: it takes **Starling-LM-7B-alpha**, keeps its weights in four
// bits, trains a small LoRA adapter on medical instructions, and measures how many entities are found before and after.
//
// The full run needs the real model and data set from the Hub. The same script runs offline in a minute with a model of
// 3.5 million parameters that comes with this repository, and sentences made up for it:
//
// ```sh
// npm run example -- starling-symptom-diagnosis --smoke
// ```

// %%
import { readdir, readFile, stat } from 'node:fs/promises'
import { join, relative } from 'node:path'
import { type Dataset, describe, descriptionText, loadDataset } from '@tunesmith/datasets'
import { compare } from '@tunesmith/eval-metrics'
import { Engine, exportGguf, loadModel, savePretrained } from '@tunesmith/models'
import { engineAdapters, PeftModel } from '@tunesmith/peft-lora'
import { createApp, startServer } from '@tunesmith/serve'
import { lossChart, SFTTrainer } from '@tunesmith/sft-trainer'
import { inspect, renderTerminal, Tokenizer } from '@tunesmith/tokenization'
import {
  answerAll,
  bytesText,
  corpusResult,
  endOnPage,
  saveFigures,
  saveRows,
  showPage,
  showPlan,
  showScores,
  showSettings,
  showSvg,
  showTable,
  startExample,
} from 'example-kit'
import { entityF1, readEntities } from './entities'
import type { InstructionRow } from './rows'

const run = await startExample(import.meta.url)

// %% [markdown]
// ## What the full run takes
//
// LoRA leaves the seven billion weights alone and trains two thin matrices beside the query and the value projection of each
// layer. The base weights are stored in NF4, half a byte each, so that the model fits on one card.

// %%
const lora = { r: 8, loraAlpha: 16, loraDropout: 0.05, bias: 'none', taskType: 'CAUSAL_LM' } as const
const plan = showPlan(run, 'berkeley-nest/Starling-LM-7B-alpha', {
  weights: 'nf4',
  lora: { r: lora.r, targetModules: ['q_proj', 'v_proj'] },
  optimizerBytes: 8,
  tokens: 4 * 512,
  gradientCheckpointing: true,
})

// %% [markdown]
// ## The data
//
// Each row has an `instruction`, an `input` (a sentence, its tokens apart by spaces) and the `output` wanted. Some instructions ask
// for a tag per token, others for a list.

// %%
const sample = (name: string) => join(run.folder, 'data', name)
const source = run.pick({
  smoke: { train: sample('train.jsonl'), test: sample('test.jsonl') },
  data: { train: join(run.dataDir, 'train.jsonl'), test: join(run.dataDir, 'test.jsonl') },
  full: { train: 'nlpie/Llama2-MedTuned-Instructions', test: '' },
})
const rows = (await loadDataset(source.train)) as unknown as Dataset<InstructionRow>
const split = source.test
  ? { train: rows, test: (await loadDataset(source.test)) as unknown as Dataset<InstructionRow> }
  : rows.trainTestSplit({ testSize: 200, seed: 0 })

const base = run.baseModel('berkeley-nest/Starling-LM-7B-alpha')
const tokenizer = await Tokenizer.fromPretrained(base)
console.log(
  descriptionText(await describe(split.train.take(2000), { countTokens: (texts) => tokenizer.countTokens(texts) })),
)

// %% [markdown]
// The names of the tasks differ, so a formatting function says how a row becomes a question and an answer. What a row costs
// to learn is best seen token by token: the loss looks only at what stands between the brackets.

// %%
const formattingFunc = ({ instruction, input, output }: InstructionRow) => ({
  prompt: [{ role: 'user' as const, content: `${instruction}\n\n${input}` }],
  completion: [{ role: 'assistant' as const, content: output }],
})
console.log(renderTerminal(inspect(tokenizer, formattingFunc(split.train.at(0))), { color: false }))

// %% [markdown]
// A row that does not fit into 512 tokens would lose the end of its answer, so such rows are left out, and counted. Rows of other tasks
// than entity recognition (the full data set has relations and questions too) stay in training; the score below needs entities.

// %%
const tokensOf = (row: InstructionRow) =>
  tokenizer.encode(`${row.instruction}${row.input}${row.output}`).ids.length + 16
const maxLength = 512
const asksForEntities = ({ output }: InstructionRow) => /^(Chemical|Disease): |(^|\n)\S+ : (O|[BI]-\w+)/.test(output)
const limit = run.pick({
  smoke: { train: 640, test: 60 },
  data: { train: run.quick ? 400 : 900, test: run.quick ? 16 : 40 },
  full: { train: Infinity, test: 200 },
})
const fits = await split.train.filter((row) => tokensOf(row) <= maxLength)
const test = (
  await split.test.filter(
    (row) => tokensOf(row) <= run.pick({ smoke: 512, data: 300, full: 512 }) && asksForEntities(row),
  )
).take(Math.min(limit.test, split.test.length))
const train = fits.take(Math.min(limit.train, fits.length))
showTable(
  ['', 'rows'],
  [
    ['in the training data', String(split.train.length)],
    [`longer than ${maxLength} tokens, left out`, String(split.train.length - fits.length)],
    ['trained on', String(train.length)],
    ['tested on', String(test.length)],
  ],
)
saveRows(run, { train: train.toArray().map(formattingFunc), test: test.toArray().map(formattingFunc) })

// %% [markdown]
// ## The model in four bits
//
// The linear layers are quantized while they are read; embeddings and norms stay in 16 bits. Nothing else changes: generation and
// training compute with the packed weights.

// %%
const quantizationConfig = {
  loadIn4bit: true,
  bnb4bitQuantType: 'nf4',
  bnb4bitUseDoubleQuant: true,
  bnb4bitComputeDtype: 'bfloat16',
} as const
const model = await loadModel(base, { quantizationConfig })
const formats = new Map<string, number>()
for (const { weight } of model.linears.values()) formats.set(weight.format, (formats.get(weight.format) ?? 0) + 1)
showTable(
  ['linear layers', 'kept as'],
  [...formats].map(([format, layers]) => [String(layers), format]),
)

// %% [markdown]
// ## Before
//
// The base model answers every test row. Answers are cut after the length of the longest answer wanted.

// %%
const prompts = test.toArray().map((row) => formattingFunc(row).prompt)
const maxNewTokens = Math.max(...test.toArray().map(({ output }) => tokenizer.encode(output).ids.length)) + 8
const before = await answerAll(model, tokenizer, prompts, { label: 'before', maxNewTokens })

// %% [markdown]
// ## Training
//
// The settings of the full run, and what a tiny model needs instead: it has a sixteenth of the width, so it wants a much larger
// learning rate.

// %%
const args = showSettings(
  {
    perDeviceTrainBatchSize: 4,
    gradientAccumulationSteps: 4,
    numTrainEpochs: 1,
    learningRate: 2e-4,
    lrSchedulerType: 'cosine' as const,
    warmupRatio: 0.03,
    optim: 'paged_adamw_32bit' as const,
    fp16: true,
    maxLength,
    packing: true,
    gradientCheckpointing: true,
    saveStrategy: 'epoch' as const,
    loggingSteps: 10,
  },
  run.pick({
    smoke: {
      perDeviceTrainBatchSize: 2,
      gradientAccumulationSteps: 1,
      numTrainEpochs: 3,
      learningRate: 1e-2,
      fp16: false,
      gradientCheckpointing: false,
    },
    data: {
      perDeviceTrainBatchSize: 2,
      gradientAccumulationSteps: 1,
      numTrainEpochs: 1,
      learningRate: 1e-2,
      fp16: false,
      gradientCheckpointing: false,
    },
    full: {},
  }),
)
const { taskType: _, ...peftConfig } = lora
const trainer = new SFTTrainer({
  model,
  tokenizer,
  args: { ...args, outputDir: join(run.outputDir, 'adjusted_model') },
  peftConfig,
  formattingFunc: formattingFunc as never,
  trainDataset: train as unknown as Dataset,
})
trainer.peft!.printTrainableParameters()
const result = await trainer.train()
showSvg(lossChart(result), join(run.outputDir, 'loss.svg'))

// %% [markdown]
// ## After
//
// An entity counts only when its type and both of its ends are right. The interval is a bootstrap over the test rows, and the
// difference is tested on the same rows.

// %%
const after = await answerAll(model, tokenizer, prompts, { label: 'after', maxNewTokens })
const entities = (answers: readonly string[]) =>
  test.toArray().map((row, i) => readEntities(row, answers[i]!).join('\n'))
const wanted = test.toArray().map((row) => readEntities(row, row.output).join('\n'))
const f1 = corpusResult(entityF1, { base: entities(before.answers), tuned: entities(after.answers) }, wanted)
const evalRows = test.toArray().map((row, i) => ({
  id: i,
  prompt: `${row.instruction}\n\n${row.input}`,
  reference: row.output,
  outputs: { base: before.answers[i]!, tuned: after.answers[i]! },
}))
const report = await compare({
  rows: evalRows,
  metrics: ['rouge'],
  results: [f1],
  title: 'Entities before and after fine-tuning',
  outputFolder: join(run.outputDir, 'report'),
})
showScores(report, { file: join(run.outputDir, 'scores.svg'), only: ['entity F1', 'rougeL'] })
const clip = (text: string) => (text.length > 300 ? `${text.slice(0, 300)}…` : text)
showTable(
  ['input', 'wanted', 'before', 'after'],
  test
    .toArray()
    .slice(0, 4)
    .map((row, i) => [row.input, row.output, before.answers[i]!, after.answers[i]!].map(clip)),
)

// %% [markdown]
// ## Out into the world
//
// The adapter alone is a file of some megabytes that PEFT loads too. For deployment it is folded into the weights, and the result is an
// ordinary checkpoint; another file holds the same for llama.cpp and Ollama. Loaded again from disk, it must answer as before, up to the rounding of the weights to 16 bits.

// %%
await trainer.saveModel(join(run.outputDir, 'adapter'))
trainer.peft!.mergeAndUnload()
const merged = join(run.outputDir, 'merged')
await savePretrained(model, merged, { dtype: 'bfloat16', maxShardSize: '2GB', tokenizer })
const again = await loadModel(merged)
const check = await answerAll(again, tokenizer, prompts, { label: 'merged', maxNewTokens })
const same = check.answers.filter((answer, i) => answer === after.answers[i]).length
const [mergedF1] = [corpusResult(entityF1, { merged: entities(check.answers) }, wanted).corpus!.merged!]
// The embedded tokenizer cuts words in a way that llama.cpp has no name for; the nearest is good enough for a demonstration.
const gguf = await exportGguf(model, tokenizer, join(run.outputDir, 'gguf'), {
  type: 'q8_0',
  name: run.name,
  ...(run.mode !== 'full' && { preTokenizer: 'gpt-2' }),
})
const folderBytes = async (folder: string) => {
  const sizes = (await readdir(folder)).map(async (name) => (await stat(join(folder, name))).size)
  return (await Promise.all(sizes)).reduce((sum, bytes) => sum + bytes, 0)
}
const size = async (file: string) => bytesText((await stat(file)).size)
showTable(
  ['', ''],
  [
    ['adapter', await size(join(run.outputDir, 'adapter', 'adapter_model.safetensors'))],
    ['merged, bfloat16', bytesText(await folderBytes(merged))],
    ['GGUF for llama.cpp and Ollama, q8_0', await size(gguf.file)],
    ['merged answers equal to the adapter’s', `${same} of ${test.length}`],
    ['entity F1 of the merged model', mergedF1.toFixed(3)],
  ],
)

// %% [markdown]
// ## A consultation
//
// A message of a patient: the model is asked for the diseases and medicines in it.

// %%
const message = 'I have had gout for 3 weeks and take allopurinol 300 mg .'
const instruction =
  test.toArray().find(({ output }) => /^(Chemical|Disease): /.test(output))?.instruction ?? test.at(0).instruction
const consulted = await answerAll(
  again,
  tokenizer,
  [formattingFunc({ instruction, input: message, output: '' }).prompt],
  {
    label: 'consult',
    maxNewTokens: 64,
  },
)
console.log(`> ${message}\n${consulted.answers[0]}`)

// %% [markdown]
// ## A page for everybody
//
// A server answers for the base model and the adapter in one running batch, with a chat page for people and OpenAI's API for
// programs. Asked side by side, greedily, the same question shows what the training did.

// %%
model.dispose()
again.dispose()
const served = await loadModel(base, { quantizationConfig })
const adapters = engineAdapters(new PeftModel(served))
const engine = new Engine(served, { cacheTokens: 8192 }, adapters)
await engine.loadAdapter('symptom-diagnosis', join(run.outputDir, 'adapter'))
const app = createApp({
  engine,
  tokenizer,
  modelName: run.pick({ smoke: 'tiny-medic', data: 'tiny-medic', full: 'starling' }),
  adapters: adapters.names,
  notice: 'Written by a machine that can be wrong. This is no medical advice: ask a doctor.',
})
const server = await startServer(app, engine, { port: 0 })
const onPage = await showPage(run, server, `${instruction}\n\n${message}`)

// %% [markdown]
// With `--serve` the run ends on this page instead of closing it. Later the same is had with
//
// ```sh
// npx tunesmith serve runs/starling-symptom-diagnosis-smoke/adapter --load-in-4bit
// ```
//
// and in the terminal, from the merged model, with
//
// ```sh
// npx tunesmith chat runs/starling-symptom-diagnosis-smoke/merged
// ```

// %%
saveFigures(run, {
  trainableLine: plan.line,
  quantizedLayers: Object.fromEntries(formats),
  loss: { first: result.logs[0]!.loss, last: result.logs.at(-1)!.loss },
  tokensPerSecond: result.numTokens / result.trainRuntime,
  entityF1: { base: f1.corpus!.base, tuned: f1.corpus!.tuned, pValue: f1.differences!.tuned!.pValue, merged: mergedF1 },
  rougeL: Object.fromEntries(
    report.summary.metrics.find(({ name }) => name === 'rougeL')!.systems.map(({ system, score }) => [system, score]),
  ),
  mergedSame: same / test.length,
  page: onPage,
  reportBytes: (await readFile(join(run.outputDir, 'report', 'report.html'))).length,
  files: [
    relative(run.outputDir, gguf.file),
    'gguf/Modelfile',
    'rows/train.jsonl',
    'adapter/adapter_config.json',
    'merged/model.safetensors',
    'report/report.html',
    'scores.svg',
  ],
})
await endOnPage(run, server)
