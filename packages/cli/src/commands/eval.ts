import { extname } from 'node:path'
import { Command, InvalidArgumentError, Option } from '@commander-js/extra-typings'
import { selectBackend } from '@tunesmith/backend'
import { checkOutputFolder, invalidData, invalidOptions, nearestName, plainText } from '@tunesmith/core'
import { loadDataset } from '@tunesmith/datasets'
import { compare, type EvalRow, METRIC_NAMES, type MetricName } from '@tunesmith/eval-metrics'
import { ANSWER_DEFAULTS } from '@tunesmith/models'
import { findModel, in4bit, readModel, setChatTemplate, sourcesOf } from '../run/load'
import { answerRows, heldOutRows, testRows } from '../run/test-rows'
import { count } from './numbers'
import { baseOption, chatTemplateOption, checkAnswerLength, in4bitOption, overwriteOption } from './shared-options'

function metricNames(text: string): MetricName[] {
  const names = text.split(',').map((name) => name.trim())
  const unknown = names.find((name) => !(METRIC_NAMES as readonly string[]).includes(name))
  if (unknown === undefined) return names as MetricName[]
  const nearest = nearestName(unknown, METRIC_NAMES)
  throw new InvalidArgumentError(
    `There is no metric "${unknown}".${nearest ? ` Did you mean "${nearest}"?` : ''} They are ${METRIC_NAMES.join(', ')}.`,
  )
}

const command = () =>
  new Command('eval')
    .description('score models, adapters or files of predictions against references, and report the differences')
    .argument(
      '<systems...>',
      'each a model or adapter folder, a Hub id, or a file of predictions; name it with name=path',
    )
    .option('--data <file>', 'held-out rows with prompts and answers')
    .addOption(
      new Option('--metrics <names>', `of ${METRIC_NAMES.join(', ')}`)
        .argParser(metricNames)
        .default(['rouge', 'bleu'] as MetricName[], 'rouge,bleu'),
    )
    .option('--out <folder>', 'where report.html, .json, .csv and .md go', 'runs/eval')
    .option('--max-rows <n>', 'only the first rows', count)
    .option('--max-new-tokens <n>', `longest answer; default ${ANSWER_DEFAULTS.maxNewTokens}`, count)
    .option('--batch-size <n>', 'prompts answered together', count, ANSWER_DEFAULTS.batchSize)
    .addOption(baseOption())
    .addOption(in4bitOption())
    .addOption(chatTemplateOption())
    .addOption(overwriteOption())
    .option('--blind', 'also write a sheet for blind review')
type EvalOptions = ReturnType<ReturnType<typeof command>['opts']>

interface Source {
  name: string
  path: string
}

/** `name=path`, or a path that names itself. */
function parseSource(text: string): Source {
  const at = text.indexOf('=')
  return at > 0 ? { name: text.slice(0, at), path: text.slice(at + 1) } : { name: text, path: text }
}

const isPredictions = ({ path }: Source) => ['.json', '.jsonl', '.csv', '.parquet'].includes(extname(path))

interface Prediction {
  id: string
  reference?: string
  prompt?: string
  output: string
}

/** The answers in a file: a column `prediction`, `output` or `completion`, matched by `id` where there is one. */
async function readPredictions({ path }: Source): Promise<Prediction[]> {
  const dataset = await loadDataset(path)
  return dataset.toArray().map((row, index) => {
    const output = row.prediction ?? row.output ?? row.completion
    if (typeof output !== 'string')
      throw invalidData('The row has no "prediction"', {
        where: dataset.where(index),
        remedy: 'Give each row its answer as text in a column "prediction", and its "id" where the order may differ',
      })
    return {
      id: String(row.id ?? index),
      output,
      ...(typeof row.reference === 'string' && { reference: row.reference }),
      ...(typeof row.prompt === 'string' && { prompt: row.prompt }),
    }
  })
}

const needsData = (what: string, where: string) =>
  invalidOptions(what, { where, remedy: 'Name the held-out rows with --data' })

/** The references in the first file of predictions. */
async function referenceRows(sources: Source[]): Promise<Prediction[]> {
  const first = sources.find(isPredictions)
  if (!first) throw needsData('There is nothing to compare the answers with', 'eval')
  return readPredictions(first)
}

async function run(texts: string[], options: EvalOptions): Promise<void> {
  const sources = texts.map(parseSource)
  const found = new Map(
    await Promise.all(
      sources
        .filter((source) => !isPredictions(source))
        .map(async (source) => [source, await findModel(source.path, options)] as const),
    ),
  )
  await checkOutputFolder(options.out, {
    overwrite: options.overwrite,
    sources: [
      ...(options.data ? [options.data] : []),
      ...sources.flatMap((source) => (found.has(source) ? sourcesOf(found.get(source)!) : [source.path])),
    ],
    only: (name) => /^(report|review)\./.test(name),
  })
  const dataset = options.data ? await loadDataset(options.data) : undefined
  const asked = dataset && testRows(dataset.take(options.maxRows ?? dataset.length))
  const given = asked ?? (await referenceRows(sources)).slice(0, options.maxRows)
  const rows = given.map(({ id, prompt, reference }): EvalRow => ({ id, prompt, reference, outputs: {} }))
  if (sources.some((source) => !isPredictions(source))) await selectBackend()
  for (const source of sources) {
    if (isPredictions(source)) {
      const answers = new Map((await readPredictions(source)).map(({ id, output }) => [id, output]))
      for (const row of rows) {
        const output = answers.get(String(row.id))
        if (output === undefined) throw invalidData(`There is no answer to the row "${row.id}"`, { where: source.path })
        row.outputs[source.name] = output
      }
      continue
    }
    if (!asked) throw needsData('A model needs prompts to answer', source.path)
    const { model, tokenizer } = await readModel(found.get(source)!, in4bit(options.loadIn4bit))
    const { maxNewTokens = ANSWER_DEFAULTS.maxNewTokens, batchSize } = options
    if (options.maxNewTokens !== undefined) checkAnswerLength(model, maxNewTokens)
    setChatTemplate(tokenizer, options.chatTemplate)
    const heldOut = heldOutRows(asked, tokenizer)
    const answers = await answerRows(
      model,
      tokenizer,
      heldOut,
      { label: source.name, maxNewTokens, batchSize },
      (line) => console.warn(plainText(line)),
    )
    rows.forEach((row, i) => {
      row.outputs[source.name] = answers[i]!
    })
    model.dispose()
  }
  const { markdown, files } = await compare({
    rows,
    metrics: options.metrics,
    systems: sources.map(({ name }) => name),
    outputFolder: options.out,
    blind: options.blind === true,
    maxRows: 50,
  })
  // The report's Markdown goes on with every row; the scores come first.
  console.log(plainText(markdown.split(/^## (?!Scores)/m)[0]!.trim()))
  console.log(`\nwritten: ${files.join(', ')}`)
}

export const evalCommand = () => command().action(run)
