import { Command } from '@commander-js/extra-typings'
import { plainText, refuseSources, writeFileAtomic } from '@tunesmith/core'
import { formatDataset } from '@tunesmith/datasets'
import { lossOn } from '@tunesmith/sft-trainer'
import { checkRows, inspect, renderHtml, renderTerminal, Tokenizer } from '@tunesmith/tokenization'
import { readFineTuneConfig } from '../run/config'
import { setChatTemplate } from '../run/load'
import { loadConfigRows, pathOf } from '../run/rows'
import { count } from './numbers'

const command = () =>
  new Command('inspect')
    .description('show the first training rows of a config as the model will see them, and warn of common mistakes')
    .argument('<config>', 'path of the config file')
    .option('--rows <n>', 'rows to show', count, 3)
    .option('--check <n>', 'rows to check for mistakes', count, 1000)
    .option('--html <file>', 'write the shown rows as HTML too')
type InspectOptions = ReturnType<ReturnType<typeof command>['opts']>

async function run(path: string, { rows, check, html }: InspectOptions): Promise<void> {
  const config = await readFineTuneConfig(path)
  const { model, revision, training } = config
  const source = pathOf(config.dataset.train)
  if (html) await refuseSources(html, [path, source, model])
  const tokenizer = await Tokenizer.fromPretrained(model, { revision })
  setChatTemplate(tokenizer, config.chatTemplate)
  const dataset = (await loadConfigRows(config)).train.take(Math.max(rows, check))
  const formatted = formatDataset(dataset)
  console.log(plainText(`${source}\n${formatted.explanation}\n`))

  const options = { maxLength: training.maxLength, truncationMode: training.truncationMode, lossOn: lossOn(training) }
  const examples = formatted.dataset.toArray()
  const shown = examples.slice(0, rows).map((example) => inspect(tokenizer, example, options))
  for (const inspection of shown)
    console.log(`${renderTerminal(inspection, { color: process.stdout.isTTY === true })}\n`)
  const where = (index: number) => dataset.where(index)
  const checked = await checkRows(tokenizer, examples, { ...options, where, label: 'checking' })
  console.log(`${checked.rows} rows looked at: ${checked.tokens} tokens, ${checked.trained} of them trained`)
  const chats = examples.filter(({ messages }) => messages !== undefined).length
  if (chats > 0 && options.lossOn === undefined)
    console.log(
      `note: ${chats} conversations are trained whole, what users say and the template's own tokens too; training.assistantOnlyLoss: true trains the answers alone`,
    )
  if (checked.warnings.length === 0) console.log('nothing to warn of')
  for (const { code, rows, message, remedy } of checked.warnings)
    console.log(plainText(`warning: ${code} in ${rows} row${rows === 1 ? '' : 's'}: ${message}. ${remedy}`))
  if (html) {
    await writeFileAtomic(html, renderHtml(shown, `Training rows of ${source}`))
    console.log(`written to ${html}`)
  }
}

export const inspectCommand = () => command().action(run)
