import { Command } from '@commander-js/extra-typings'
import { checkOutputFolder, invalidData, invalidOptions, plainText } from '@tunesmith/core'
import { type Dataset, loadDataset } from '@tunesmith/datasets'
import { evaluateRetrieval, type LabelledQuestion } from '@tunesmith/retrieval'
import { openNamedIndex } from '../run/open-index'
import { count } from './numbers'
import { overwriteOption } from './shared-options'

const command = () =>
  new Command('eval-retrieval')
    .description('search for questions whose documents are known: recall, precision, MRR and nDCG with intervals')
    .argument('<index>', 'made by `tunesmith index`')
    .requiredOption('--data <file>', 'rows with a question and the ids of its documents')
    .option('--question-column <name>', 'default question')
    .option('--document-column <name>', 'an id or a list of ids; default documents, document or id')
    .option('--fit <n>', 'learn the weight of hybrid search from the first n rows, and evaluate on the others', count)
    .option('--max-rows <n>', 'only the first rows', count)
    .option('--out <folder>', 'where report.html, .json, .csv and .md go', 'runs/eval-retrieval')
    .addOption(overwriteOption())
type EvalOptions = ReturnType<ReturnType<typeof command>['opts']>

function readQuestions(dataset: Dataset, options: EvalOptions): LabelledQuestion[] {
  return dataset.toArray().map((row, i) => {
    const question = options.questionColumn ? row[options.questionColumn] : (row.question ?? row.QUESTION)
    const documents = options.documentColumn ? row[options.documentColumn] : (row.documents ?? row.document ?? row.id)
    const ids = (Array.isArray(documents) ? documents : [documents]).filter((id) => id !== undefined && id !== null)
    if (typeof question === 'string' && ids.length > 0) return { question, documents: ids.map(String) }
    throw invalidData(`The row has no ${typeof question === 'string' ? 'document' : 'question'}`, {
      where: dataset.where(i),
      remedy: `Name the columns, --question-column and --document-column; the row has ${Object.keys(row).join(', ')}`,
    })
  })
}

async function run(place: string, options: EvalOptions): Promise<void> {
  await checkOutputFolder(options.out, {
    overwrite: options.overwrite,
    sources: [options.data, place],
    only: (name) => name.startsWith('report.'),
  })
  const dataset = await loadDataset(options.data)
  const all = readQuestions(dataset.take(options.maxRows ?? dataset.length), options)
  const index = await openNamedIndex(place)
  const { fit = 0 } = options
  if (fit >= all.length)
    throw invalidOptions(`There are ${all.length} questions, and ${fit} to learn from leave none to evaluate`, {
      where: '--fit',
      remedy: 'Choose less',
    })
  if (fit > 0) console.log(`weight of the dense score: ${(await index.fit(all.slice(0, fit))).weight}`)
  const { report, files } = await evaluateRetrieval({ index, questions: all.slice(fit), outputFolder: options.out })
  index.close()
  console.log(plainText(report.markdown.split(/^## (?=Rows|Outputs)/m)[0]!.trim()))
  console.log(`\nwritten: ${files.join(', ')}`)
}

export const evalRetrievalCommand = () => command().action(run)
