import { Command, Option } from '@commander-js/extra-typings'
import { plainJson, plainText, refuseSources, writeFileAtomic } from '@tunesmith/core'
import { describe, descriptionText, histogramSvg, loadDataset } from '@tunesmith/datasets'
import { Tokenizer } from '@tunesmith/tokenization'
import { count } from './numbers'

const describeCommand = () =>
  new Command('describe')
    .description('rows, columns, nulls, duplicates, lengths, classes, and overlap with another dataset')
    .argument('<source>', 'a file, glob or folder, or the Hub id of a dataset')
    .option('--split <name>', 'which split, when there are several')
    .option('--against <source>', 'look for these rows in another dataset: the training set, for a test set')
    .option('--tokenizer <model>', 'count tokens of this model instead of words')
    .option('--max-length <n>', 'count the rows longer than this', count)
    .addOption(
      new Option('--on-error <what>', 'at a row that cannot be read: stop, or leave it out (onError)')
        .choices(['error', 'skip'] as const)
        .default('error' as const),
    )
    .option('--svg <file>', 'draw the lengths')
    .option('--json', 'print everything as one JSON object')
    .option('--verbose', 'print stack traces with errors')
type DescribeCommandOptions = ReturnType<ReturnType<typeof describeCommand>['opts']>

async function run(
  source: string,
  { split, against, tokenizer, maxLength, svg, json, onError }: DescribeCommandOptions,
): Promise<void> {
  if (svg) await refuseSources(svg, [source, ...(against ? [against] : [])])
  const dataset = await loadDataset(source, { onError, ...(split && { split }) })
  const encoder = tokenizer ? await Tokenizer.fromPretrained(tokenizer) : undefined
  const description = await describe(dataset, {
    ...(encoder && { countTokens: (texts: string[]) => encoder.countTokens(texts) }),
    ...(maxLength && { maxLength }),
    ...(against && { against: await loadDataset(against, { onError }) }),
  })
  const { total } = description.lengths.parts
  if (svg && total)
    await writeFileAtomic(svg, histogramSvg(total, { title: `Length of a row in ${description.lengths.unit}` }))
  console.log(json ? plainJson(description) : plainText(descriptionText(description)))
}

export const dataCommand = () =>
  new Command('data').description('look at datasets').addCommand(describeCommand().action(run))
