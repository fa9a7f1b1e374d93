import { TunesmithError } from '@tunesmith/core'
import { type Dataset, detectFormat, type ExampleRow, type TokenizedExample, toExampleRow } from '@tunesmith/datasets'
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
  const examples: TokenizedExample[] = []
  let [truncated, dropped, index] = [0, 0, 0]
  let format = 'formattingFunc'
  let detected: ReturnType<typeof detectFormat> | undefined
  for await (const row of dataset) {
    const where = dataset.where?.(index) ?? `row ${index}`
    index++
    let example: ExampleRow
    if (formattingFunc) {
      const made = formattingFunc(row)
      example = typeof made === 'string' ? { text: made } : made
    } else {
      detected ??= detectFormat([row], { where })
      format = detected.explanation
      example = toExampleRow(row, detected, { where })
    }
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
    throw new TunesmithError(index === 0 ? 'The dataset has no rows' : 'No row has anything to learn from', {
      code: 'invalid_data',
      remedy:
        index === 0 ? 'Check the file' : `All ${index} rows are too long or have only masked labels; raise maxLength`,
    })
  return { examples, format, truncated, dropped }
}
