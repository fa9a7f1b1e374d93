import { Command } from '@commander-js/extra-typings'
import { plainText, refuseSources, writeFileAtomic } from '@tunesmith/core'
import { type Dataset, type ExampleRow, formatDataset, formatPreferences, formatUnpaired } from '@tunesmith/datasets'
import { readGgufHead } from '@tunesmith/models'
import { lossOn } from '@tunesmith/sft-trainer'
import { checkRows, inspect, renderHtml, renderTerminal, Tokenizer } from '@tunesmith/tokenization'
import { type FineTuneConfig, readFineTuneConfig } from '../run/config'
import { describeGguf } from '../run/describe-gguf'
import { setChatTemplate } from '../run/load'
import { isPreference, preferenceSides } from '../run/preferences'
import { loadConfigRows, pathOf } from '../run/rows'
import { count } from './numbers'

const command = () =>
  new Command('inspect')
    .description(
      'show the first training rows of a config as the model will see them, and warn of common mistakes; or what a GGUF file holds',
    )
    .argument('<file>', 'path of the config file, or of a .gguf file')
    .option('--rows <n>', 'rows to show', count, 3)
    .option('--check <n>', 'rows to check for mistakes', count, 1000)
    .option('--html <file>', 'write the shown rows as HTML too')
type InspectOptions = ReturnType<ReturnType<typeof command>['opts']>

/** The rows as examples: of preferences each side is one. */
async function sidesOf(
  dataset: Dataset,
  config: FineTuneConfig,
): Promise<{ explanation: string; sides: { side?: string; example: ExampleRow }[] }> {
  if (!isPreference(config)) {
    const { dataset: rows, explanation } = formatDataset(dataset)
    return { explanation, sides: rows.toArray().map((example) => ({ example })) }
  }
  const format = config.method === 'dpo' ? formatPreferences : formatUnpaired
  const { explanation } = await format(dataset, { style: config.training.style })
  return { explanation, sides: await preferenceSides(dataset, config) }
}

async function run(path: string, { rows, check, html }: InspectOptions): Promise<void> {
  if (/\.gguf$/i.test(path)) {
    console.log(plainText(describeGguf(path, await readGgufHead(path))))
    return
  }
  const config = await readFineTuneConfig(path)
  const { model, revision, training } = config
  const source = pathOf(config.dataset.train)
  if (html) await refuseSources(html, [path, source, model])
  const tokenizer = await Tokenizer.fromPretrained(model, { revision })
  setChatTemplate(tokenizer, config.chatTemplate)
  const dataset = (await loadConfigRows(config)).train.take(Math.max(rows, check))
  const { explanation, sides } = await sidesOf(dataset, config)
  console.log(plainText(`${source}\n${explanation}\n`))

  const trained = config.method === 'sft' ? lossOn(config.training) : ('completion' as const)
  const options = { maxLength: training.maxLength, truncationMode: training.truncationMode, lossOn: trained }
  const examples = sides.map(({ example }) => example)
  const perRow = config.method === 'dpo' ? 2 : 1
  const shown = examples.slice(0, rows * perRow).map((example) => inspect(tokenizer, example, options))
  for (const [i, inspection] of shown.entries()) {
    if (sides[i]!.side !== undefined) console.log(`${sides[i]!.side}:`)
    console.log(`${renderTerminal(inspection, { color: process.stdout.isTTY === true })}\n`)
  }
  const where = (index: number) => dataset.where(Math.floor(index / perRow))
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
