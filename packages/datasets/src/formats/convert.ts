import {
  copyJsonSource,
  type ExampleRow,
  invalidData,
  type Message,
  messageText,
  type TunesmithError,
} from '@tunesmith/core'
import type { Row } from '../rows'
import { isObject, kindOf } from '../values'
import { type DetectedFormat, detectFormat, type FormatName } from './detect'
import { readMessages } from './messages'

export interface ConvertOptions {
  /**
   * Alpaca and question/answer rows become conversations for a chat template (`chat`, the default), or text with
   * headings for a model that has none (`plain`).
   */
  style?: 'chat' | 'plain' | undefined
  /** A system message for every conversation that has none. */
  system?: string | undefined
  /** Where the row came from, for errors. */
  where?: string | undefined
  /** Keep answers without text, as one side of a preference may be. Default false. */
  emptyAnswers?: boolean | undefined
}

const RESERVED = ['prompt', 'completion', 'messages', 'text']

/** Reads one part of a row as text; lists of texts are joined. */
class Parts {
  constructor(
    readonly row: Row,
    readonly format: DetectedFormat,
    readonly where: string | undefined,
    readonly emptyAnswers = false,
  ) {}

  fail(what: string, remedy = "Mend or filter such rows, or pass onError: 'skip' to leave them out"): TunesmithError {
    return invalidData(what, { where: this.where, remedy })
  }

  /** The part's value; an error when it is missing, since training on it would teach the model to say nothing. */
  value(part: string): unknown {
    const column = this.format.columns[part]!
    const value = this.row[column]
    if (value !== undefined && value !== null) return value
    throw this.fail(
      value === null ? `The row's "${column}" is null` : `The row has no "${column}"`,
      `Give every row a "${column}", filter out those without one, or pass onError: 'skip' to leave them out`,
    )
  }

  text(part: string): string {
    const column = this.format.columns[part]!
    const value = unwrap(this.value(part))
    if (typeof value === 'string') return value
    throw this.fail(
      `"${column}" must be text, not ${kindOf(value)}`,
      typeof value === 'object'
        ? undefined
        : `Turn the column into text first: dataset.cast({ ${JSON.stringify(column)}: 'string' })`,
    )
  }

  noAnswer(part: string): TunesmithError {
    return this.fail(
      `The row's "${this.format.columns[part]}" is empty, so there is no answer to learn`,
      "Filter such rows out, or pass onError: 'skip' to leave them out",
    )
  }

  /** The text of the answer, which must not be empty unless the options say so. */
  answer(part: string): string {
    const text = this.text(part)
    if (text.trim() === '' && !this.emptyAnswers) throw this.noAnswer(part)
    return text
  }

  optionalText(part: string): string | undefined {
    const column = this.format.columns[part]
    const value = column === undefined ? undefined : this.row[column]
    if (value === undefined || value === null || value === '') return undefined
    const text = this.text(part)
    return text.trim().length > 0 ? text : undefined
  }
}

/** Several passages become one text; `{ contexts: [...] }` and SQuAD's `{ text: [...] }` are looked into. */
function unwrap(value: unknown): unknown {
  const inner = isObject(value) ? (value.contexts ?? value.text ?? value) : value
  return Array.isArray(inner) && inner.length > 0 && inner.every((item) => typeof item === 'string')
    ? inner.join('\n\n')
    : inner
}

/** The first of several accepted answers. */
function answerText(parts: Parts): string {
  const value = parts.value('answer')
  const list = isObject(value) ? value.text : value
  if (!Array.isArray(list)) return parts.text('answer')
  if (typeof list[0] === 'string') return list[0]
  throw parts.fail(`The row's "${parts.format.columns.answer}" holds no text`)
}

/** The texts there are, with blank lines between them. */
const joined = (...texts: (string | undefined)[]) => texts.filter((text) => text !== undefined).join('\n\n')

/** Earlier turns: pairs of what the user and the assistant said. */
function historyOf(parts: Parts): [string, string][] {
  const column = parts.format.columns.history
  const value = column === undefined ? undefined : parts.row[column]
  if (value === undefined || value === null || value === '') return []
  const isPair = (turn: unknown): turn is [string, string] =>
    Array.isArray(turn) && turn.length === 2 && turn.every((text) => typeof text === 'string')
  if (Array.isArray(value) && value.every(isPair)) return value
  throw parts.fail(`The row's "${column}" must be a list of pairs: what the user said, and the answer`)
}

function conversation(
  system: string | undefined,
  history: [string, string][],
  prompt: string,
  completion: string,
): ExampleRow {
  const earlier = history.flatMap(([asked, answered]): Message[] => [
    { role: 'user', content: asked },
    { role: 'assistant', content: answered },
  ])
  const user: Message[] = [...earlier, { role: 'user', content: prompt }]
  return {
    prompt: system === undefined ? user : [{ role: 'system', content: system }, ...user],
    completion: [{ role: 'assistant', content: completion }],
  }
}

function convertInstruction(parts: Parts, { style, system }: ConvertOptions): ExampleRow {
  const instruction = parts.text('instruction')
  const input = parts.optionalText('input')
  const history = historyOf(parts)
  const output = parts.answer('output')
  const rowSystem = parts.optionalText('system') ?? system
  if (style !== 'plain') return conversation(rowSystem, history, joined(instruction, input), output)
  const earlier = history.map(([asked, answered]) => `### Instruction:\n${asked}\n\n### Response:\n${answered}`)
  const given = input === undefined ? undefined : `### Input:\n${input}`
  return {
    prompt: joined(rowSystem, ...earlier, `### Instruction:\n${instruction}`, given, '### Response:\n'),
    completion: output,
  }
}

function convertQuestion(parts: Parts, { style, system }: ConvertOptions): ExampleRow {
  const question = parts.text('question')
  const context = parts.optionalText('context')
  const history = historyOf(parts)
  const answer = answerText(parts)
  if (answer.trim() === '') throw parts.noAnswer('answer')
  const rowSystem = parts.optionalText('system') ?? system
  if (style !== 'plain') return conversation(rowSystem, history, joined(context, question), answer)
  const earlier = history.map(([asked, answered]) => `Question: ${asked}\nAnswer: ${answered}`)
  const given = context === undefined ? undefined : `Context: ${context}`
  return { prompt: joined(rowSystem, given, ...earlier, `Question: ${question}\nAnswer:`), completion: ` ${answer}` }
}

function convertPromptCompletion(parts: Parts, { system }: ConvertOptions): ExampleRow {
  const prompt = parts.value('prompt')
  const completion = parts.value('completion')
  if (Array.isArray(prompt) !== Array.isArray(completion))
    throw parts.fail('Prompt and completion must both be text or both be lists of messages')
  if (!Array.isArray(prompt)) return { prompt: parts.text('prompt'), completion: parts.answer('completion') }
  return {
    prompt: readMessages(prompt, 'prompt', parts.where, system),
    completion: withAnswer(readMessages(completion, 'completion', parts.where), 'completion', parts),
  }
}

/** Messages among which the assistant says something. */
function withAnswer(messages: Message[], column: string, parts: Parts): Message[] {
  const answers = (message: Message) =>
    message.role === 'assistant' && (message.tool_calls !== undefined || messageText(message).trim() !== '')
  if (parts.emptyAnswers || messages.some(answers)) return messages
  throw parts.fail(`"${column}" has no message in which the assistant says something, so there is no answer to learn`)
}

/** The side of a preference that is asked for: a text, a message, messages that follow the prompt, or all of them. */
function convertPreference(parts: Parts, { system, style }: ConvertOptions): ExampleRow {
  const { columns } = parts.format
  const answer = parts.value('answer')
  const prompt = columns.prompt === undefined ? undefined : parts.value('prompt')
  const rowSystem = parts.optionalText('system') ?? system
  const isChat = typeof answer === 'object' || Array.isArray(prompt)
  if (!isChat && prompt === undefined) return { text: parts.answer('answer') }
  if (!isChat && style === 'plain') {
    const asked = joined(rowSystem, parts.text('prompt'), parts.optionalText('input'))
    return { prompt: asked, completion: parts.answer('answer') }
  }
  const list = typeof answer === 'string' ? [{ role: 'assistant', content: answer }] : [answer].flat()
  const completion = withAnswer(readMessages(list, columns.answer!, parts.where), columns.answer!, parts)
  // Many sets repeat the prompt at the beginning of both sides.
  if (prompt === undefined || completion[0]!.role !== 'assistant')
    return { messages: readMessages(list, columns.answer!, parts.where, rowSystem) }
  const asked = Array.isArray(prompt)
    ? prompt
    : [{ role: 'user', content: joined(parts.text('prompt'), parts.optionalText('input')) }]
  return { prompt: readMessages(asked, columns.prompt!, parts.where, rowSystem), completion }
}

const MEDIA: [marker: string, columns: string[]][] = [
  ['<image>', ['image', 'images']],
  ['<video>', ['video', 'videos']],
  ['<audio>', ['audio', 'audios']],
]

/** Also as CSV holds it, which has no booleans. */
const isFalse = (value: unknown) => value === false || (typeof value === 'string' && /^\s*false\s*$/i.test(value))

/** Refuses rows that say of themselves that they are no text to learn from. */
function refuseByContent(parts: Parts): void {
  const { row, format } = parts
  for (const label of ['label', 'kto_tag'])
    if (isFalse(row[label]) && format.name !== 'text')
      throw parts.fail(
        `The row's "${label}" is ${JSON.stringify(row[label])}, as in KTO: its answer is one not to learn`,
        `Filter such rows out: dataset.filter((row) => row.${label} !== ${JSON.stringify(row[label])}); or rename the column if it means something else`,
      )
  for (const [marker, columns] of MEDIA) {
    const column = columns.find((name) => row[name] !== undefined && row[name] !== null)
    const used = () =>
      JSON.stringify(
        Object.values(format.columns).map((name) => row[name]),
        (_key, value) => (typeof value === 'bigint' ? String(value) : value),
      )
    if (column !== undefined && used().includes(marker))
      throw parts.fail(
        `The row's text has ${marker} and its "${column}" holds more than text, and models are trained on text alone`,
      )
  }
}

function convert(parts: Parts, options: ConvertOptions): ExampleRow {
  refuseByContent(parts)
  switch (parts.format.name) {
    case 'messages': {
      const column = parts.format.columns.messages!
      const system = parts.optionalText('system') ?? options.system
      const messages = readMessages(parts.value('messages'), column, parts.where, system)
      return { messages: withAnswer(messages, column, parts) }
    }
    case 'preference':
      return convertPreference(parts, options)
    case 'sharegpt': {
      const system = parts.optionalText('system') ?? options.system
      const column = parts.format.columns.conversations!
      const messages = readMessages(parts.value('conversations'), column, parts.where, system)
      return { messages: withAnswer(messages, column, parts) }
    }
    case 'promptCompletion':
      return convertPromptCompletion(parts, options)
    case 'alpaca':
      return convertInstruction(parts, options)
    case 'questionAnswer':
      return convertQuestion(parts, options)
    case 'text':
      return { text: parts.answer('text') }
  }
}

/**
 * Turns a row of a known format into what training reads: `{ prompt, completion }` (texts or messages), `{ messages }`
 * or `{ text }`. Other columns are kept beside; one whose name would be mistaken for a part of the example
 * is kept as `original_<name>`.
 *
 * @param format what `detectFormat` returned, or a format's name.
 * @throws {TunesmithError} `invalid_data`, naming the row and the column that is missing or of the wrong type.
 */
export function toExampleRow(row: Row, format: DetectedFormat | FormatName, options: ConvertOptions = {}): ExampleRow {
  const detected =
    typeof format === 'string' ? detectFormat(Object.keys(row), { format, where: options.where }) : format
  const example = convert(new Parts(row, detected, options.where, options.emptyAnswers), options)
  const used = new Set(Object.values(detected.columns))
  const result: Row = {}
  for (const [column, value] of Object.entries(row)) {
    if (!used.has(column)) result[RESERVED.includes(column) ? `original_${column}` : column] = value
  }
  return copyJsonSource(row, Object.assign(result, example)) as ExampleRow
}
