import { atOnce, type ExampleRow, inTurns, invalidData, parseOptions, TunesmithError } from '@tunesmith/core'
import { z } from 'zod'
import { Dataset } from '../dataset/dataset'
import { arrayRows, type Row, type RowChunk } from '../rows'
import { rowErrorHandler, type SkipReport } from '../skipped'
import { DataStream } from '../stream/stream'
import { type ConvertOptions, toExampleRow } from './convert'
import { type DetectedFormat, detectFormat, FORMATS } from './detect'

/** Makes an example of a row: text, or a row of one of the example shapes. */
export type FormattingFunction<R = Row> = (row: R, index: number) => string | Row

const names = FORMATS.map(({ name }) => name)
export const formatOptionsSchema = z.strictObject({
  /** The format; recognised by the columns when not given. */
  format: z.enum(names as [(typeof names)[number], ...typeof names]).optional(),
  /** Part to column where the names differ: `{ question: 'Query', answer: 'Reply' }`. */
  columns: z.record(z.string(), z.string()).optional(),
  /** Of rows with a `chosen` and a `rejected` answer, the side to learn. Without it they are refused. */
  preference: z.enum(['chosen', 'rejected']).optional(),
  /** Makes the example itself; takes the place of a format. */
  formattingFunc: z.custom<FormattingFunction<never>>((value) => typeof value === 'function').optional(),
  /** Whether alpaca and question/answer rows become conversations (`chat`, the default) or text with headings. */
  style: z.enum(['chat', 'plain']).default('chat'),
  /** A system message for conversations that have none. */
  system: z.string().optional(),
  /** A row without one of its parts: stop (`error`, the default), or leave it out and note it. */
  onError: z.enum(['error', 'skip']).default('error'),
})
export type FormatOptions<R = Row> = Omit<z.input<typeof formatOptionsSchema>, 'formattingFunc'> & {
  formattingFunc?: FormattingFunction<R>
}

export interface FormattedDataset {
  dataset: Dataset<ExampleRow>
  /** The format found; undefined with a `formattingFunc`. */
  format: DetectedFormat | undefined
  /** Columns that hold text in most rows and are not part of the examples. */
  unusedText: string[]
  /** The choice in a sentence, to be shown, with a warning of such columns. */
  explanation: string
}

/** Finds columns that hold text, several words and no mere name, in most rows. */
class UnusedText {
  readonly #counts: Map<string, number>
  #rows = 0

  constructor(columns: readonly string[]) {
    this.#counts = new Map(columns.map((column) => [column, 0]))
  }

  see(row: Row): void {
    this.#rows++
    for (const [column, count] of this.#counts) if (isText(row[column])) this.#counts.set(column, count + 1)
  }

  get columns(): string[] {
    return [...this.#counts].flatMap(([column, count]) => (2 * count > this.#rows ? [column] : []))
  }

  warn(explanation: string): string {
    const names = this.columns.map((column) => `"${column}"`).join(', ')
    return names === '' ? explanation : `${explanation}\nWARNING: NOT USED, though most rows have text there: ${names}`
  }
}

function isText(value: unknown): boolean {
  return Array.isArray(value) ? value.some(isText) : typeof value === 'string' && /\S\s+\S/.test(value)
}

/** What a formatting function returned, as an example row. */
function fromFunction(result: unknown, row: Row, options: ConvertOptions): ExampleRow {
  if (typeof result === 'string') return { text: result }
  if (typeof result === 'object' && result !== null) {
    const format = detectFormat(Object.keys(result), { where: options.where })
    return toExampleRow(result as Row, format, options)
  }
  throw invalidData(`The formattingFunc returned ${result === null ? 'null' : typeof result}`, {
    where: options.where,
    remedy: `Return text, { prompt, completion }, { messages } or { text }; the row has ${Object.keys(row).join(', ')}`,
  })
}

/** Turns one row into an example, or gives the reason why not to `badRow`. */
function createFormatter(options: z.output<typeof formatOptionsSchema>, format: DetectedFormat | undefined) {
  const { style, system } = options
  const formattingFunc = options.formattingFunc as FormattingFunction | undefined
  return (row: Row, index: number, where: string, badRow: (error: TunesmithError) => void): ExampleRow | undefined => {
    const convertOptions = { style, system, where }
    try {
      if (format) return toExampleRow(row, format, convertOptions)
      return fromFunction(formattingFunc!(row, index), row, convertOptions)
    } catch (error) {
      badRow(
        error instanceof TunesmithError
          ? error
          : invalidData(`The formattingFunc failed: ${(error as Error).message}`, { where, cause: error }),
      )
      return undefined
    }
  }
}

/** Shown in place of a format. */
const OWN_FUNCTION = 'formattingFunc'

/** Formats row after row; after every 256 there is a pause. */
function* formatRows<R>(dataset: Dataset<R>, options: FormatOptions<R>): Generator<void, FormattedDataset> {
  const parsed = parseOptions(formatOptionsSchema, options, 'formatDataset')
  const { formattingFunc, format: wanted, columns, preference } = parsed
  const place = (index: number) => dataset.where(index) ?? `row ${index}`
  const where = dataset.length > 0 ? place(0) : undefined
  const format = formattingFunc
    ? undefined
    : detectFormat(dataset.columns, { format: wanted, columns, preference, where })
  const skipped: SkipReport = { count: dataset.skipped.count, log: [...dataset.skipped.log] }
  const badRow = rowErrorHandler(parsed.onError, skipped)
  const formatRow = createFormatter(parsed, format)
  const unused = new UnusedText(format?.beside ?? [])
  const examples: ExampleRow[] = []
  const kept: number[] = []
  for (let index = 0; index < dataset.length; index++) {
    if (index % 256 === 255) yield
    const row = dataset.at(index) as Row
    unused.see(row)
    const example = formatRow(row, index, place(index), badRow)
    if (!example) continue
    examples.push(example)
    kept.push(index)
  }
  return {
    dataset: new Dataset(
      arrayRows(examples, (index) => dataset.where(kept[index]!)),
      { skipped },
    ),
    format,
    unusedText: unused.columns,
    explanation: unused.warn(format?.explanation ?? OWN_FUNCTION),
  }
}

/**
 * Recognises the format of a data set and turns every row into an example.
 *
 * @throws {TunesmithError} `invalid_data` for the first row that lacks a part, naming its file and line, unless
 *   `onError` is `skip`; the rows left out are in the result's `skipped`.
 */
export function formatDataset<R = Row>(dataset: Dataset<R>, options: FormatOptions<R> = {}): FormattedDataset {
  return atOnce(formatRows(dataset, options))
}

/** {@link formatDataset} for many rows, which never holds the event loop up. */
export function formatDatasetInTurns<R = Row>(
  dataset: Dataset<R>,
  options: FormatOptions<R> = {},
): Promise<FormattedDataset> {
  return inTurns(formatRows(dataset, options))
}

export interface FormattedStream {
  stream: DataStream<ExampleRow>
  /** The format found in the first rows; undefined with a `formattingFunc`. */
  format: DetectedFormat | undefined
  /** As of a {@link FormattedDataset}, among the first rows. */
  unusedText: string[]
  explanation: string
}

/** As {@link formatDataset}, while reading. The format is recognised by the first rows. */
export async function formatStream<R = Row>(
  source: DataStream<R>,
  options: FormatOptions<R> = {},
): Promise<FormattedStream> {
  const parsed = parseOptions(formatOptionsSchema, options, 'formatStream')
  const { formattingFunc, format: wanted, columns, preference } = parsed
  const head = formattingFunc ? undefined : await source.take(100).collect()
  const where = head && head.length > 0 ? head.where(0) : undefined
  const format = head && detectFormat(head.columns, { format: wanted, columns, preference, where })
  const badRow = rowErrorHandler(parsed.onError, source.skipped)
  const formatRow = createFormatter(parsed, format)
  const unused = new UnusedText(format?.beside ?? [])
  for (const row of head ?? []) unused.see(row as Row)
  async function* open(): AsyncGenerator<RowChunk<ExampleRow>> {
    let first = 0
    for await (const { rows, where: whereOf } of source.chunks()) {
      const examples: ExampleRow[] = []
      const kept: number[] = []
      for (const [index, row] of rows.entries()) {
        const place = whereOf?.(index) ?? `row ${first + index}`
        const example = formatRow(row as Row, first + index, place, badRow)
        if (!example) continue
        examples.push(example)
        kept.push(index)
      }
      first += rows.length
      yield { rows: examples, where: (index) => whereOf?.(kept[index]!) }
    }
  }
  return {
    stream: new DataStream(open, { skipped: source.skipped }),
    format,
    unusedText: unused.columns,
    explanation: unused.warn(format?.explanation ?? OWN_FUNCTION),
  }
}
