import {
  copyJsonSource,
  type ExampleRow,
  inTurns,
  invalidData,
  type Message,
  parseOptions,
  partText,
} from '@tunesmith/core'
import { z } from 'zod'
import { Dataset } from '../dataset/dataset'
import { arrayRows, type Row } from '../rows'
import { rowErrorHandler, type SkipReport } from '../skipped'
import { toExampleRow } from './convert'
import { type DetectedFormat, detectFormat } from './detect'

type Part = string | Message[]

/** Two answers to one prompt; all three are text, or all three are messages. Columns for chat templates are kept beside. */
export interface PreferenceRow {
  prompt: Part
  chosen: Part
  rejected: Part
  [column: string]: unknown
}

/** One answer, and whether it is one to learn. */
export interface UnpairedRow {
  prompt: Part
  completion: Part
  label: boolean
  [column: string]: unknown
}

export const preferenceOptionsSchema = z.strictObject({
  /** Part to column where the names differ: `{ chosen: 'better', rejected: 'worse' }`; of unpaired rows, `label` among them. */
  columns: z.record(z.string(), z.string()).optional(),
  /** Whether a text prompt becomes a conversation (`chat`) or stays text (`plain`, the default, as in TRL). */
  style: z.enum(['chat', 'plain']).default('plain'),
  /** A system message for conversations that have none. */
  system: z.string().optional(),
  /** A row that cannot be learned from: stop (`error`, the default), or leave it out and note it. */
  onError: z.enum(['error', 'skip']).default('error'),
})
export type PreferenceOptions = z.input<typeof preferenceOptionsSchema>
type ParsedOptions = z.output<typeof preferenceOptionsSchema>

export interface FormattedPreferences {
  dataset: Dataset<PreferenceRow>
  /** Rows of which one side says nothing. */
  emptySides: number
  /** How the columns were understood, in a sentence. */
  explanation: string
}

export interface FormattedUnpaired {
  dataset: Dataset<UnpairedRow>
  explanation: string
}

const isEmpty = (part: Part) =>
  partText(part).trim() === '' &&
  (typeof part === 'string' || part.every((message) => message.tool_calls === undefined))
const same = (a: unknown, b: unknown) => JSON.stringify(a) === JSON.stringify(b)

/** Where two sides that repeat their prompt first differ; the last message or letter is never part of the prompt, as in TRL. */
function commonLength(a: ArrayLike<unknown>, b: ArrayLike<unknown>): number {
  const most = Math.min(a.length, b.length) - 1
  let at = 0
  while (at < most && same(a[at], b[at])) at++
  return at
}

/** The prompt that both sides begin with. A space before the first difference belongs to the answers. */
function splitText(chosen: string, rejected: string): PreferenceRow {
  let at = commonLength(chosen, rejected)
  if (at > 0 && chosen[at - 1] === ' ') at--
  return { prompt: chosen.slice(0, at), chosen: chosen.slice(at), rejected: rejected.slice(at) }
}

/** One side of a preference as the example it would be alone. */
function sideOf(
  row: Row,
  format: DetectedFormat,
  side: 'chosen' | 'rejected',
  options: ParsedOptions,
  where: string,
): ExampleRow {
  const columns = { ...format.columns, answer: format.columns[side]! }
  const { style, system } = options
  return toExampleRow(row, { ...format, columns }, { style, system, where, emptyAnswers: true })
}

/**
 * A row with two answers in any known layout: prompt, chosen and rejected; or sides that both begin with the prompt; as text or
 * as messages.
 *
 * @throws {TunesmithError} `invalid_data` for a row without one side, and for one whose sides are equal or both empty.
 */
export function toPreferenceRow(
  row: Row,
  format: DetectedFormat,
  options: PreferenceOptions,
  where: string,
): PreferenceRow {
  const parsed = parseOptions(preferenceOptionsSchema, options, 'toPreferenceRow')
  const chosen = sideOf(row, format, 'chosen', parsed, where)
  const rejected = sideOf(row, format, 'rejected', parsed, where)
  const pair = paired(chosen, rejected, where)
  const both = (what: string) =>
    invalidData(what, { where, remedy: "Filter such rows out, or pass onError: 'skip' to leave them out" })
  if (isEmpty(pair.chosen) && isEmpty(pair.rejected))
    throw both('Both answers are empty, so there is nothing to prefer')
  if (same(pair.chosen, pair.rejected)) throw both('Both answers are the same, so there is nothing to prefer')
  const { tools, documents, chat_template_kwargs } = row
  const beside = Object.entries({ tools, documents, chat_template_kwargs }).filter(([, value]) => value !== undefined)
  return copyJsonSource(row, { ...Object.fromEntries(beside), ...pair })
}

function paired(chosen: ExampleRow, rejected: ExampleRow, where: string): PreferenceRow {
  if (chosen.completion !== undefined && rejected.completion !== undefined)
    return { prompt: chosen.prompt!, chosen: chosen.completion, rejected: rejected.completion }
  if (chosen.text !== undefined && rejected.text !== undefined) return splitText(chosen.text, rejected.text)
  if (chosen.messages && rejected.messages) {
    const at = commonLength(chosen.messages, rejected.messages)
    if (at > 0)
      return {
        prompt: chosen.messages.slice(0, at),
        chosen: chosen.messages.slice(at),
        rejected: rejected.messages.slice(at),
      }
    throw invalidData('The two answers do not begin with the same prompt', {
      where,
      remedy: 'Give the row a "prompt", or let both sides begin with the same messages',
    })
  }
  throw invalidData('One answer is text and the other is messages', { where, remedy: 'Write both in the same way' })
}

/** Preference rows of any known layout; see {@link toPreferenceRow}. */
export function formatPreferences<R = Row>(
  dataset: Dataset<R>,
  options: PreferenceOptions = {},
): Promise<FormattedPreferences> {
  return inTurns(formatPairs(dataset as Dataset, parseOptions(preferenceOptionsSchema, options, 'formatPreferences')))
}

function preferenceFormat(dataset: Dataset, options: ParsedOptions): { format: DetectedFormat; explanation: string } {
  const where = dataset.length > 0 ? (dataset.where(0) ?? 'row 0') : undefined
  const format = detectFormat(dataset.columns, {
    format: 'preference',
    columns: options.columns,
    preference: 'chosen',
    where,
  })
  const { prompt, input, chosen, rejected, system } = format.columns
  const asked = [prompt, input].filter((column) => column !== undefined).map((column) => `"${column}"`)
  const beside = format.beside.filter((column) => column !== rejected)
  const parts = [
    `preference: prompt from ${asked.length > 0 ? asked.join(' and ') : 'what both sides begin with'}, chosen from "${chosen}", rejected from "${rejected}"`,
    system && `system message from "${system}"`,
    format.printed.length > 0 && `printed by the chat template: ${format.printed.join(', ')}`,
    beside.length > 0 && `not trained on: ${beside.join(', ')}`,
  ]
  return { format, explanation: parts.filter(Boolean).join('; ') }
}

function* formatPairs(dataset: Dataset, options: ParsedOptions): Generator<void, FormattedPreferences> {
  const { format, explanation } = preferenceFormat(dataset, options)
  const { kept, ...rest } = yield* eachRow(dataset, options, (row, where) =>
    toPreferenceRow(row, format, options, where),
  )
  const emptySides = kept.filter(({ chosen, rejected }) => isEmpty(chosen) || isEmpty(rejected)).length
  return { ...rest, emptySides, explanation }
}

/** Every row made into another; those that fail are left out under `skip`. */
function* eachRow<Result extends object>(
  dataset: Dataset,
  { onError }: ParsedOptions,
  make: (row: Row, where: string) => Result,
): Generator<void, { dataset: Dataset<Result & Row>; kept: Result[] }> {
  const skipped: SkipReport = { count: dataset.skipped.count, log: [...dataset.skipped.log] }
  const badRow = rowErrorHandler(onError, skipped)
  const [kept, places]: [Result[], number[]] = [[], []]
  for (let index = 0; index < dataset.length; index++) {
    if (index % 256 === 255) yield
    try {
      kept.push(make(dataset.at(index), dataset.where(index) ?? `row ${index}`))
      places.push(index)
    } catch (error) {
      badRow(error as never)
    }
  }
  const rows = arrayRows(kept as (Result & Row)[], (index) => dataset.where(places[index]!))
  return { dataset: new Dataset(rows, { skipped }), kept }
}

/** Names of the column that says whether an answer is one to learn. */
const LABELS = ['label', 'kto_tag']
/** TRL makes two rows of each pair within chunks of this many: first all chosen answers, then all rejected ones. */
const UNPAIRED_CHUNK = 1000

/**
 * Rows of an answer and a label, or pairs, of which each becomes two rows.
 *
 * @throws {TunesmithError} `invalid_data` for a row without an answer or with a label that is neither true nor false.
 */
export async function formatUnpaired<R = Row>(
  dataset: Dataset<R>,
  options: PreferenceOptions = {},
): Promise<FormattedUnpaired> {
  const parsed = parseOptions(preferenceOptionsSchema, options, 'formatUnpaired')
  const columns = dataset.columns.map((column) => column.toLowerCase())
  const hasPairs = (name: string) => parsed.columns?.[name] !== undefined || columns.includes(name)
  if (hasPairs('chosen') && hasPairs('rejected')) return unpair(await formatPreferences(dataset, options))
  return inTurns(formatLabelled(dataset as Dataset, parsed))
}

function unpair({ dataset, explanation }: FormattedPreferences): FormattedUnpaired {
  const [rows, sources]: [UnpairedRow[], number[]] = [[], []]
  for (let start = 0; start < dataset.length; start += UNPAIRED_CHUNK) {
    const indices = Array.from({ length: Math.min(UNPAIRED_CHUNK, dataset.length - start) }, (_, i) => start + i)
    for (const label of [true, false])
      for (const index of indices) {
        const { chosen, rejected, ...row } = dataset.at(index)
        rows.push(copyJsonSource(dataset.at(index), { ...row, completion: label ? chosen : rejected, label }))
        sources.push(index)
      }
  }
  const unpaired = new Dataset(
    arrayRows(rows, (index) => dataset.where(sources[index]!)),
    { skipped: dataset.skipped },
  )
  return { dataset: unpaired, explanation: `${explanation}; each pair is two rows, the chosen answers first` }
}

function* formatLabelled(dataset: Dataset, options: ParsedOptions): Generator<void, FormattedUnpaired> {
  const { label: named, ...columns } = options.columns ?? {}
  const label = named ?? dataset.columns.find((column) => LABELS.includes(column.toLowerCase()))
  if (label === undefined)
    throw invalidData('There is no column that says which answers are good', {
      where: dataset.length > 0 ? (dataset.where(0) ?? 'row 0') : undefined,
      remedy: `Give every row a "label", true or false, or name the column (columns: { label: "..." }); the columns are: ${dataset.columns.join(', ')}`,
    })
  const others = dataset.columns.filter((column) => column !== label)
  const format = detectFormat(others, Object.keys(columns).length > 0 ? { columns } : {})
  const { dataset: rows } = yield* eachRow(dataset, options, (row, where): UnpairedRow => {
    const { [label]: value, ...rest } = row
    const good = labelOf(value, label, where)
    const example = toExampleRow(copyJsonSource(row, rest), format, { ...options, where })
    const { completion, ...asked } = withPrompt(example, where)
    return copyJsonSource(row, { ...asked, completion, label: good })
  })
  return { dataset: rows, explanation: `${format.explanation}; good or bad from "${label}"` }
}

function withPrompt(example: ExampleRow, where: string): { prompt: Part; completion: Part } & Row {
  const { prompt, completion, messages, text: _, ...beside } = example
  if (prompt !== undefined && completion !== undefined) return { ...beside, prompt, completion }
  if (messages && messages.length > 1 && messages.at(-1)!.role === 'assistant')
    return { ...beside, prompt: messages.slice(0, -1), completion: messages.slice(-1) }
  throw invalidData('The row has no prompt and answer', {
    where,
    remedy: 'Give every row a prompt and a completion, or messages that the assistant ends',
  })
}

/** Also as CSV holds it, which has no booleans. */
function labelOf(value: unknown, column: string, where: string): boolean {
  const text = String(value).trim().toLowerCase()
  if (value === true || value === 1 || text === 'true') return true
  if (value === false || value === 0 || text === 'false') return false
  throw invalidData(`"${column}" is ${JSON.stringify(value) ?? 'missing'}, neither true nor false`, {
    where,
    remedy: 'Write true for an answer to learn from and false for one to avoid',
  })
}
