import { TunesmithError } from '@tunesmith/core'
import { type Dataset, type ExampleRow, formatDataset, type TokenizedExample } from '@tunesmith/datasets'
import { buildExample, type Tokenizer } from '@tunesmith/tokenization'
import type { SFTConfig } from './config'

/** Makes an example out of a row of any shape; for data no known format describes. */
export type FormattingFunc = (row: Record<string, unknown>) => ExampleRow | string

export interface PreparedData {
  examples: TokenizedExample[]
  /** How the columns were understood, in a sentence. */
  format: string
  /** Rows longer than `maxLength` that were cut, and rows that were left out. */
  truncated: number
  dropped: number
}

type LossOn = 'completion' | 'assistant' | 'all'

function lossOn(row: ExampleRow, { completionOnlyLoss, assistantOnlyLoss }: SFTConfig): LossOn {
  if (assistantOnlyLoss) return 'assistant'
  return 'completion' in row && completionOnlyLoss !== false ? 'completion' : 'all'
}

/**
 * Rows to token ids and labels: recognises the format, renders templates, masks what is not learned, keeps to `maxLength`.
 *
 * @throws {TunesmithError} `invalid_data` naming the row; also when nothing is left to train on.
 */
export async function prepareDataset(
  dataset: Dataset,
  tokenizer: Tokenizer,
  config: SFTConfig,
  formattingFunc?: FormattingFunc,
): Promise<PreparedData> {
  if (dataset.length === 0)
    throw new TunesmithError('The dataset has no rows', { code: 'invalid_data', remedy: 'Check the file' })
  const formatted = formatDataset(dataset, { formattingFunc })
  const examples: TokenizedExample[] = []
  let [truncated, dropped] = [0, 0]
  for (const example of formatted.dataset) {
    const { inputIds, labels } = buildExample(tokenizer, example, { lossOn: lossOn(example, config) })
    let [ids, targets] = [inputIds, labels]
    if (ids.length > config.maxLength) {
      if (config.lengthPolicy === 'drop') {
        dropped++
        continue
      }
      truncated++
      ids = ids.slice(0, config.maxLength)
      targets = targets.slice(0, config.maxLength)
    }
    // The first token is never predicted, so a label there teaches nothing.
    if (targets.slice(1).every((label) => label === -100)) dropped++
    else examples.push({ inputIds: ids, labels: targets })
  }
  if (examples.length === 0)
    throw new TunesmithError('No row has anything to learn from', {
      code: 'invalid_data',
      remedy: `All ${dataset.length} rows are too long or have only masked labels; raise maxLength`,
    })
  return { examples, format: formatted.explanation, truncated, dropped }
}
