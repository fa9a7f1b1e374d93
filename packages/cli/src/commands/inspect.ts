import { writeFileAtomic } from '@tunesmith/core'
import { detectFormat, loadDataset, toExampleRow } from '@tunesmith/datasets'
import { inspect, renderHtml, renderTerminal, Tokenizer } from '@tunesmith/tokenization'
import { Command } from 'commander'
import { readFineTuneConfig } from '../run/config'
import { count } from './numbers'

interface InspectOptions {
  rows: number
  check: number
  html?: string
}

async function run(path: string, { rows, check, html }: InspectOptions): Promise<void> {
  const { model, revision, dataset: files, training } = await readFineTuneConfig(path)
  const tokenizer = await Tokenizer.fromPretrained(model, { revision })
  const dataset = (await loadDataset(files.train)).take(Math.max(rows, check))
  const format = detectFormat(dataset, { where: dataset.where(0) })
  console.log(`${files.train}\n${format.explanation}\n`)

  const lossOn = training.assistantOnlyLoss ? 'assistant' : training.completionOnlyLoss === false ? 'all' : undefined
  const inspections = dataset.toArray().map((row, index) => {
    const example = toExampleRow(row, format, { where: dataset.where(index) })
    return inspect(tokenizer, example as never, { maxLength: training.maxLength, ...(lossOn && { lossOn }) })
  })
  for (const inspection of inspections.slice(0, rows))
    console.log(`${renderTerminal(inspection, { color: process.stdout.isTTY === true })}\n`)

  const counts = new Map<string, { rows: number; message: string; remedy: string }>()
  for (const { warnings } of inspections)
    for (const { code, message, remedy } of warnings) {
      const known = counts.get(code) ?? { rows: 0, message, remedy }
      known.rows++
      counts.set(code, known)
    }
  const trained = inspections.reduce((sum, each) => sum + each.trained, 0)
  const tokens = inspections.reduce((sum, each) => sum + each.tokens.length, 0)
  console.log(`${inspections.length} rows looked at: ${tokens} tokens, ${trained} of them trained`)
  if (counts.size === 0) console.log('nothing to warn of')
  for (const [code, { rows, message, remedy }] of counts)
    console.log(`warning: ${code} in ${rows} row${rows === 1 ? '' : 's'}: ${message}. ${remedy}`)
  if (html) {
    await writeFileAtomic(html, renderHtml(inspections.slice(0, rows), `Training rows of ${files.train}`))
    console.log(`written to ${html}`)
  }
}

export function inspectCommand(): Command {
  return new Command('inspect')
    .description('show the first training rows of a config as the model will see them, and warn of common mistakes')
    .argument('<config>', 'path of the config file')
    .option('--rows <n>', 'rows to show', count, 3)
    .option('--check <n>', 'rows to check for mistakes', count, 1000)
    .option('--html <file>', 'write the shown rows as HTML too')
    .action(run)
}
