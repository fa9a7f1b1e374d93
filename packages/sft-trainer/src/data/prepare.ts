import { invalidData } from '@tunesmith/core'
import {
  applyLengthPolicyInTurns,
  checkTokenized,
  type Dataset,
  type ExampleRow,
  formatDatasetInTurns,
  type TokenizedExample,
} from '@tunesmith/datasets'
import { buildExamples, checkRows, type Tokenizer } from '@tunesmith/tokenization'
import type { SFTConfig } from '../config'

/** Makes an example out of a row of any shape; for data no known format describes. */
export type FormattingFunc = (row: Record<string, unknown>) => ExampleRow | string

/** A tokenized row that knows where it came from. */
export interface SourcedExample extends TokenizedExample {
  /** Index of the row in the dataset. */
  row: number
}

export interface PreparedData {
  examples: SourcedExample[]
  /** How the columns were understood, in a sentence. */
  format: string
  /** Whether the rows are printed by a chat template. */
  conversations: boolean
  /** What the chat template does not print of the first rows, in a sentence; undefined when it prints all. */
  notPrinted?: string | undefined
  /** What the length limit did, in a sentence. */
  lengths: string
  /** Rows longer than `maxLength` that were cut or split, and rows that were left out. */
  truncated: number
  dropped: number
}

/** Which tokens of a row the loss sees, as `buildExample` names it; undefined for what suits the row, TRL's default. */
export function lossOn({
  completionOnlyLoss,
  assistantOnlyLoss,
}: Pick<SFTConfig, 'completionOnlyLoss' | 'assistantOnlyLoss'>): 'assistant' | 'all' | undefined {
  if (assistantOnlyLoss) return 'assistant'
  return completionOnlyLoss === false ? 'all' : undefined
}

/**
 * Rows to token ids and labels: recognises the format, renders templates, masks what is not learned, keeps to `maxLength`.
 *
 * With packing, `maxLength` is the packing's business. Many rows are tokenized in worker threads.
 *
 * @param packing whether these rows will be packed.
 * @throws {TunesmithError} `invalid_data` naming the row; also when nothing is left to train on. `aborted` by the signal.
 */
export async function prepareDataset(
  dataset: Dataset,
  tokenizer: Tokenizer,
  config: SFTConfig,
  {
    formattingFunc,
    packing = config.packing,
    signal,
  }: { formattingFunc?: FormattingFunc; packing?: boolean; signal?: AbortSignal | undefined } = {},
): Promise<PreparedData> {
  if (dataset.length === 0) throw invalidData('The dataset has no rows', { remedy: 'Check the file' })
  const formatted = await formatDatasetInTurns(dataset, { formattingFunc })
  const examples = await buildExamples(tokenizer, formatted.dataset.toArray(), {
    lossOn: lossOn(config),
    where: (index) => formatted.dataset.where(index),
    label: config.reportTo.includes('console') ? 'tokenizing' : undefined,
    signal,
  })
  const tokenized = examples.map((example, row) => Object.assign(example, { row }))
  const eos = tokenizer.eosTokenId
  const ends = [...(eos === undefined ? [] : [eos]), ...tokenizer.endOfTurn().ids]
  const fitted = await fitLengths(tokenized, config, packing, ends.length > 0 ? ends : undefined)
  const { messages, prompt } = formatted.dataset.at(0)
  const conversations = Array.isArray(messages ?? prompt)
  const notPrinted = conversations ? await unprinted(tokenizer, formatted.dataset, config) : undefined
  return { ...fitted, format: formatted.explanation, conversations, notPrinted }
}

/** So many rows tell what a chat template leaves out. */
const ROWS_CHECKED = 16

async function unprinted(tokenizer: Tokenizer, rows: Dataset<ExampleRow>, config: SFTConfig) {
  const first = Array.from({ length: Math.min(ROWS_CHECKED, rows.length) }, (_, i) => rows.at(i))
  const { warnings } = await checkRows(tokenizer, first, { lossOn: lossOn(config), threads: 0 })
  return warnings.find(({ code }) => code === 'not-printed')?.message
}

/**
 * Examples that were tokenized elsewhere.
 *
 * @throws {TunesmithError} `invalid_data` naming the row whose ids and labels are none.
 */
export async function prepareTokenized(
  examples: readonly TokenizedExample[],
  config: SFTConfig,
  packing: boolean,
): Promise<PreparedData> {
  const sourced = examples.map((example, row) => {
    checkTokenized(example, `row ${row}`)
    return { ...example, row }
  })
  return { ...(await fitLengths(sourced, config, packing)), format: 'tokenized', conversations: false }
}

async function fitLengths(
  examples: SourcedExample[],
  { maxLength, lengthPolicy, truncationMode }: SFTConfig,
  packing: boolean,
  eosTokenId?: number[],
): Promise<Omit<PreparedData, 'format' | 'conversations'>> {
  // Packing cuts or splits by itself, as in TRL; rows are only left out before.
  const cutLater = packing && lengthPolicy !== 'drop'
  const { examples: kept, report } = await applyLengthPolicyInTurns(examples, {
    maxLength: cutLater ? Number.MAX_SAFE_INTEGER : maxLength,
    policy: lengthPolicy,
    truncationMode,
    eosTokenId,
    dropWithoutTargets: !packing,
  })
  if (!kept.some(({ labels }) => labels.slice(1).some((label) => label >= 0)))
    throw invalidData('No row has anything to learn from', {
      where: `${examples.length} rows, ${report.dropped} left out as longer than ${maxLength} tokens`,
      remedy:
        'All labels are masked: raise maxLength, or look at the masks with `tunesmith inspect` (completionOnlyLoss, assistantOnlyLoss)',
    })
  return {
    examples: kept,
    lengths: report.summary,
    truncated: report.truncated + report.split,
    dropped: report.dropped + report.withoutTargets,
  }
}
