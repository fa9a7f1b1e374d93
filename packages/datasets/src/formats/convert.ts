import { copyJsonSource, type ExampleRow, invalidData, type Message, type TunesmithError } from '@tunesmith/core'
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
}

const RESERVED = ['prompt', 'completion', 'messages', 'text']

/** Reads one part of a row as text; lists of texts are joined. */
class Parts {
  constructor(
    readonly row: Row,
    readonly format: DetectedFormat,
    readonly where: string | undefined,
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

function conversation(system: string | undefined, prompt: string, completion: string): ExampleRow {
  const user: Message = { role: 'user', content: prompt }
  return {
    prompt: system === undefined ? [user] : [{ role: 'system', content: system }, user],
    completion: [{ role: 'assistant', content: completion }],
  }
}

function convertInstruction(parts: Parts, { style, system }: ConvertOptions): ExampleRow {
  const instruction = parts.text('instruction')
  const input = parts.optionalText('input')
  const output = parts.text('output')
  const rowSystem = parts.optionalText('system') ?? system
  if (style !== 'plain') return conversation(rowSystem, joined(instruction, input), output)
  const given = input === undefined ? undefined : `### Input:\n${input}`
  return { prompt: joined(rowSystem, `### Instruction:\n${instruction}`, given, '### Response:\n'), completion: output }
}

function convertQuestion(parts: Parts, { style, system }: ConvertOptions): ExampleRow {
  const question = parts.text('question')
  const context = parts.optionalText('context')
  const answer = answerText(parts)
  const rowSystem = parts.optionalText('system') ?? system
  if (style !== 'plain') return conversation(rowSystem, joined(context, question), answer)
  const given = context === undefined ? undefined : `Context: ${context}`
  return { prompt: joined(rowSystem, given, `Question: ${question}\nAnswer:`), completion: ` ${answer}` }
}

function convertPromptCompletion(parts: Parts, { system }: ConvertOptions): ExampleRow {
  const prompt = parts.value('prompt')
  const completion = parts.value('completion')
  if (Array.isArray(prompt) !== Array.isArray(completion))
    throw parts.fail('Prompt and completion must both be text or both be lists of messages')
  if (!Array.isArray(prompt)) return { prompt: parts.text('prompt'), completion: parts.text('completion') }
  return {
    prompt: readMessages(prompt, 'prompt', parts.where, system),
    completion: readMessages(completion, 'completion', parts.where),
  }
}

function convert(parts: Parts, options: ConvertOptions): ExampleRow {
  switch (parts.format.name) {
    case 'messages':
      return { messages: readMessages(parts.value('messages'), 'messages', parts.where, options.system) }
    case 'sharegpt': {
      const system = parts.optionalText('system') ?? options.system
      const column = parts.format.columns.conversations!
      return { messages: readMessages(parts.value('conversations'), column, parts.where, system) }
    }
    case 'promptCompletion':
      return convertPromptCompletion(parts, options)
    case 'alpaca':
      return convertInstruction(parts, options)
    case 'questionAnswer':
      return convertQuestion(parts, options)
    case 'text':
      return { text: parts.text('text') }
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
  const example = convert(new Parts(row, detected, options.where), options)
  const used = new Set(Object.values(detected.columns))
  const result: Row = {}
  for (const [column, value] of Object.entries(row)) {
    if (!used.has(column)) result[RESERVED.includes(column) ? `original_${column}` : column] = value
  }
  return copyJsonSource(row, Object.assign(result, example)) as ExampleRow
}
