import { invalidData } from '@tunesmith/core'
import type { Row } from '../rows'
import { needColumns } from '../values'

export type FormatName =
  | 'messages'
  | 'sharegpt'
  | 'preference'
  | 'alpaca'
  | 'promptCompletion'
  | 'questionAnswer'
  | 'text'

/** The parts a format is made of, and for each the column that holds it. */
export type FormatColumns = Record<string, string>

export interface DetectedFormat {
  name: FormatName
  /** Part to column, such as `{ question: 'QUESTION', answer: 'answer' }`. */
  columns: FormatColumns
  /** Columns that the chat template prints beside the messages, where it knows them: they are part of the prompt. */
  printed: string[]
  /** Columns kept beside the example and never trained on. */
  beside: string[]
  /** The choice in a sentence, to be shown to the user. */
  explanation: string
}

interface Part {
  part: string
  /** Accepted names in order of preference, compared without case. */
  names: string[]
  optional?: true
}

/** The system message beside a conversation or a question. */
const SYSTEM: Part = { part: 'system', names: ['system', 'system_prompt'], optional: true }

/** What each format is recognised by; of two that match, the one listed first is meant. */
export const FORMATS: { name: FormatName; parts: Part[]; becomes: string }[] = [
  {
    name: 'preference',
    parts: [
      {
        part: 'prompt',
        names: ['prompt', 'conversations', 'messages', 'instruction', 'question', 'query'],
        optional: true,
      },
      { part: 'input', names: ['input', 'context'], optional: true },
      { part: 'chosen', names: ['chosen'] },
      { part: 'rejected', names: ['rejected'] },
      SYSTEM,
    ],
    becomes: 'prompt from {prompt} and {input}, completion from {answer}',
  },
  {
    name: 'messages',
    parts: [{ part: 'messages', names: ['messages'] }, SYSTEM],
    becomes: 'a conversation from {messages}',
  },
  {
    name: 'sharegpt',
    parts: [{ part: 'conversations', names: ['conversations', 'conversation'] }, SYSTEM],
    becomes: 'a conversation from {conversations}',
  },
  {
    name: 'promptCompletion',
    parts: [
      { part: 'prompt', names: ['prompt'] },
      { part: 'completion', names: ['completion'] },
    ],
    becomes: 'prompt from {prompt}, completion from {completion}',
  },
  {
    name: 'alpaca',
    parts: [
      { part: 'instruction', names: ['instruction'] },
      { part: 'input', names: ['input', 'context'], optional: true },
      { part: 'history', names: ['history'], optional: true },
      { part: 'output', names: ['output', 'response'] },
      SYSTEM,
    ],
    becomes: 'prompt from {history} and {instruction} and {input}, completion from {output}',
  },
  {
    name: 'questionAnswer',
    parts: [
      { part: 'question', names: ['question', 'query'] },
      { part: 'context', names: ['context', 'contexts'], optional: true },
      { part: 'history', names: ['history'], optional: true },
      { part: 'answer', names: ['answer', 'long_answer', 'response', 'answers'] },
      SYSTEM,
    ],
    becomes: 'prompt from {history} and {question} and {context}, completion from {answer}',
  },
  { name: 'text', parts: [{ part: 'text', names: ['text'] }], becomes: 'text from {text}' },
]

/** What a chat template sees of a row besides its messages. */
const TEMPLATE_COLUMNS: readonly string[] = ['tools', 'documents', 'chat_template_kwargs']

function match(parts: Part[], columns: readonly string[], mapped: FormatColumns): FormatColumns | undefined {
  const found: FormatColumns = {}
  for (const { part, names, optional } of parts) {
    const column =
      mapped[part] ?? names.flatMap((name) => columns.find((column) => column.toLowerCase() === name) ?? [])[0]
    if (column !== undefined) found[part] = column
    else if (!optional) return undefined
  }
  return found
}

function explain(becomes: string, found: FormatColumns, printed: string[], beside: string[]): string {
  const filled = becomes
    .replace(/\{(\w+)\}( and )?/g, (_, part: string, and?: string) =>
      found[part] ? `"${found[part]}"${and ?? ''}` : '',
    )
    .replace(/ and (?=,|$)/g, '')
  const system = found.system ? `; system message from "${found.system}"` : ''
  const more = printed.length > 0 ? `; printed by the chat template: ${printed.join(', ')}` : ''
  return filled + system + more + (beside.length > 0 ? `; kept beside, not trained on: ${beside.join(', ')}` : '')
}

/** As {@link detectFormat}, but undefined instead of an error. */
export function detectColumns(
  columns: readonly string[],
  { columns: mapped = {}, format, preference }: DetectOptions = {},
): DetectedFormat | undefined {
  for (const { name, parts, becomes } of FORMATS) {
    if (format !== undefined && format !== name) continue
    // A mapping speaks of one format's parts only.
    if (Object.keys(mapped).some((part) => !parts.some((known) => known.part === part))) continue
    const found = match(parts, columns, mapped)
    if (!found) continue
    if (name === 'preference' && preference) found.answer = found[preference]!
    const used = new Set(Object.values(found))
    if (name === 'preference')
      for (const side of ['chosen', 'rejected']) if (side !== preference) used.delete(found[side]!)
    const others = columns.filter((column) => !used.has(column))
    const printed = name === 'text' ? [] : others.filter((column) => TEMPLATE_COLUMNS.includes(column))
    const beside = others.filter((column) => !printed.includes(column))
    const explanation = `${name}: ${explain(becomes, found, printed, beside)}`
    return { name, columns: found, printed, beside, explanation }
  }
  return undefined
}

export interface DetectOptions {
  /** Take this format rather than the first that matches. */
  format?: FormatName | undefined
  /** Part to column where the names differ, such as `{ question: 'Query text', answer: 'Reply' }`. */
  columns?: FormatColumns | undefined
  /** Of preference rows, which have a `chosen` and a `rejected` answer, the side to learn. Without it they are refused. */
  preference?: 'chosen' | 'rejected' | undefined
  /** What the columns belong to, for the error: a file, or `file:line`. */
  where?: string | undefined
}

/**
 * Recognises what a data set's columns mean: messages, sharegpt, prompt/completion, alpaca (instruction/input/output),
 * question/answer(/context) or text. Names are compared without case.
 *
 * @param columnsOrRows column names, or rows, of which the first few are looked at.
 * @throws {TunesmithError} `invalid_data`, saying which column is missing.
 */
export function detectFormat(
  columnsOrRows: readonly string[] | Iterable<Row>,
  options: DetectOptions = {},
): DetectedFormat {
  const columns = columnNames(columnsOrRows)
  needColumns(Object.values(options.columns ?? {}), columns, 'invalid_data', options.where)
  const detected = detectColumns(columns, options)
  if (detected) {
    refuseOtherKinds(detected, columns, options)
    return detected
  }
  throw invalidData(missing(columns, options.format), {
    where: options.where,
    remedy:
      'Rename the columns, say which is which (columns: { prompt: "...", completion: "..." }), or give a formattingFunc',
  })
}

/** Layouts that would be taken for another one. */
function refuseOtherKinds(
  { name, columns: found }: DetectedFormat,
  columns: readonly string[],
  options: DetectOptions,
) {
  const { where, preference } = options
  const has = (column: string) => columns.some((known) => known.toLowerCase() === column)
  if (name === 'preference' && preference === undefined)
    throw invalidData(
      `The rows are preferences: "${found.chosen}" and "${found.rejected}" are two answers to one prompt`,
      {
        where,
        remedy: "Say which side to learn: preference: 'chosen'; or remove the other column and rename the first",
      },
    )
  if (name === 'text' && has('role') && (has('message_id') || has('parent_id')))
    throw invalidData('The rows are messages of trees, each of which names its parent, and not texts of their own', {
      where,
      remedy:
        'Join each path from a root to a last answer into one row { messages: [{ role, content }, ...] }, by parent_id and message_id',
    })
}

const ROWS_LOOKED_AT = 100

function columnNames(columnsOrRows: readonly string[] | Iterable<Row>): string[] {
  const names = new Set<string>()
  let looked = 0
  for (const item of columnsOrRows as Iterable<string | Row>) {
    if (typeof item === 'string') names.add(item)
    else {
      for (const name of Object.keys(item)) names.add(name)
      if (++looked === ROWS_LOOKED_AT) break
    }
  }
  return [...names]
}

/** Names the column without which the nearest format is not complete. */
function missing(columns: readonly string[], format: FormatName | undefined): string {
  let nearest: { name: FormatName; has: string[]; lacks: string[] } | undefined
  for (const { name, parts } of FORMATS) {
    if (format !== undefined && format !== name) continue
    const lower = columns.map((column) => column.toLowerCase())
    const required = parts.filter(({ optional }) => !optional)
    const has = required.filter(({ names }) => names.some((n) => lower.includes(n))).map(({ part }) => part)
    const lacks = required.filter(({ part }) => !has.includes(part)).map(({ part }) => part)
    if ((has.length > 0 || format !== undefined) && (!nearest || has.length > nearest.has.length))
      nearest = { name, has, lacks }
  }
  const list = columns.length > 0 ? columns.map((column) => `"${column}"`).join(', ') : 'none'
  if (!nearest) return `No known format has these columns: ${list}`
  const lacks = nearest.lacks.map((part) => `"${part}"`).join(' and ')
  const has = nearest.has.map((part) => `"${part}"`).join(' and ')
  return has
    ? `There is ${has} but no column ${lacks}; the columns are: ${list}`
    : `There is no column ${lacks}; the columns are: ${list}`
}
