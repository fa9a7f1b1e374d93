import { createHash } from 'node:crypto'
import { parseOptions } from '@tunesmith/core'
import { z } from 'zod'
import { Dataset } from '../dataset/dataset'
import { fingerprintOf } from '../fingerprint'
import { detectFormat, type FormatName } from '../formats/detect'
import { formatDataset } from '../formats/format-dataset'
import type { Row } from '../rows'
import { type LengthSummary, summarizeLengths } from './lengths'
import { findOverlap, type Overlap, type OverlapOptions } from './overlap'
import { partsOfExample } from './parts'

type CountTokens = (texts: string[]) => number[] | Promise<number[]>

const countWords: CountTokens = (texts) => texts.map((text) => text.match(/\S+/g)?.length ?? 0)

const describeSchema = z.strictObject({
  /** Tokens in each text, as `tokenizer.countTokens` of the model to train. Default: words, separated by white space. */
  countTokens: z.custom<CountTokens>((value) => typeof value === 'function').optional(),
  /** Rows longer than this are counted. */
  maxLength: z.int().positive().optional(),
  /** A data set to look for the rows in: the training set, when a test set is described. */
  against: z.instanceof(Dataset).optional(),
  /** The column whose texts are compared with `against`. Default: the prompt, or the whole text. */
  overlapColumn: z.string().optional(),
  overlap: z.custom<OverlapOptions>((value) => typeof value === 'object').optional(),
  /** Columns whose values are counted. Default: those with few different values. */
  classColumns: z.array(z.string()).optional(),
  /** The format, and its columns, when they are not recognised. */
  format: z.custom<FormatName>((value) => typeof value === 'string').optional(),
  columns: z.record(z.string(), z.string()).optional(),
})
export type DescribeOptions = Omit<z.input<typeof describeSchema>, 'against'> & { against?: Dataset<never> | Dataset }

export interface ColumnDescription {
  name: string
  /** What its values are: `string`, `number`, `list`, `object`, ...; several when mixed. */
  types: string[]
  /** Rows in which it is null or missing. */
  nulls: number
  unique: number
}

export interface ClassBalance {
  column: string
  /** Value to rows, most frequent first. */
  counts: { value: unknown; count: number }[]
}

export interface DatasetDescription {
  rows: number
  columns: ColumnDescription[]
  /** Rows that are wholly equal to an earlier row. */
  duplicates: number
  /** What the rows were recognised as, or why not. */
  format: string
  /** Rows without one of the parts they need for training, such as an answer. */
  incomplete: number
  lengths: {
    /** `tokens`, or `words` without a `countTokens`. */
    unit: 'tokens' | 'words'
    /** `prompt`, `completion`, `text` and, of their sum, `total`. Without the tokens a chat template adds. */
    parts: Record<string, LengthSummary>
  }
  /** Rows whose total exceeds `maxLength`. */
  exceeding: { maxLength: number; rows: number } | undefined
  classes: ClassBalance[]
  /** How many of these rows are in `against` too. */
  overlap: (Overlap & { column: string }) | undefined
}

const MOST_CLASSES = 30

function typeOf(value: unknown): string {
  if (Array.isArray(value)) return 'list'
  if (value instanceof Date) return 'date'
  if (ArrayBuffer.isView(value)) return 'binary'
  return typeof value
}

const keyOf = (value: unknown) => (typeof value === 'object' && value !== null ? fingerprintOf(value) : value)

function describeColumn(dataset: Dataset, name: string): ColumnDescription & { counts: Map<unknown, number> } {
  const types = new Set<string>()
  const counts = new Map<unknown, number>()
  let nulls = 0
  for (const row of dataset) {
    const value = row[name]
    if (value === null || value === undefined) {
      nulls++
      continue
    }
    types.add(typeOf(value))
    const key = keyOf(value)
    counts.set(key, (counts.get(key) ?? 0) + 1)
  }
  return { name, types: [...types], nulls, unique: counts.size, counts }
}

/** Rows equal to an earlier one in every column. */
function countDuplicates(dataset: Dataset, columns: readonly string[]): number {
  const seen = new Set<string>()
  for (const row of dataset) {
    const values = columns.map((column) => row[column] ?? null)
    const simple = values.every((value) => value === null || typeof value === 'string' || Number.isFinite(value))
    // Hashing plain text is several times as fast as telling all kinds of values apart.
    seen.add(
      simple ? createHash('sha256').update(JSON.stringify(values)).digest('base64') : fingerprintOf('row', values),
    )
  }
  return dataset.length - seen.size
}

/** Each row's parts as text, and how many rows lack one. */
function readParts(dataset: Dataset, { format, columns }: Pick<DescribeOptions, 'format' | 'columns'>) {
  try {
    const detected = detectFormat(dataset.columns, { format, columns })
    const { dataset: examples, explanation } = formatDataset(dataset, {
      format: detected.name,
      columns,
      onError: 'skip',
    })
    const parts = Array.from(examples, partsOfExample)
    return { parts, format: explanation, incomplete: dataset.length - examples.length }
  } catch (error) {
    // Without a format every column of text is a part of its own.
    const parts = Array.from(dataset, (row) =>
      Object.fromEntries(
        Object.entries(row).filter((entry): entry is [string, string] => typeof entry[1] === 'string'),
      ),
    )
    return { parts, format: (error as Error).message, incomplete: 0 }
  }
}

function overlapTexts(
  dataset: Dataset,
  column: string | undefined,
  options: Pick<DescribeOptions, 'format' | 'columns'>,
): string[] {
  if (column !== undefined) return dataset.column(column).map((value) => (value === null ? '' : String(value)))
  return readParts(dataset, options).parts.map(
    (parts: Record<string, string>) => parts.prompt ?? parts.text ?? Object.values(parts).join('\n'),
  )
}

/**
 * Looks at a data set before training on it: columns, missing and repeated rows, lengths, classes, and overlap with
 * another data set.
 */
export async function describe<R>(dataset: Dataset<R>, options: DescribeOptions = {}): Promise<DatasetDescription> {
  const parsed = parseOptions(describeSchema, options, 'describe')
  const rows = dataset as unknown as Dataset<Row>
  const columns = rows.columns.map((name) => describeColumn(rows, name))

  const { parts, format, incomplete } = readParts(rows, parsed)
  const texts = (parts as Record<string, string>[]).flatMap((row, i) =>
    Object.entries(row).map(([part, text]) => ({ row: i, part, text })),
  )
  const counts = await (parsed.countTokens ?? countWords)(texts.map(({ text }) => text))
  const lengths: Record<string, number[]> = {}
  const totals = new Array<number>(parts.length).fill(0)
  for (const [i, { row, part }] of texts.entries()) {
    lengths[part] ??= []
    lengths[part].push(counts[i]!)
    totals[row]! += counts[i]!
  }
  const summaries = Object.fromEntries(Object.entries(lengths).map(([part, list]) => [part, summarizeLengths(list)]))
  if (Object.keys(lengths).length > 1) summaries.total = summarizeLengths(totals)

  const { maxLength, against, overlapColumn } = parsed
  const classColumns =
    parsed.classColumns ??
    columns
      .filter(
        ({ unique, types }) =>
          unique > 1 && unique <= MOST_CLASSES && unique * 5 <= rows.length && !types.includes('object'),
      )
      .map(({ name }) => name)
  return {
    rows: rows.length,
    columns: columns.map(({ counts: _, ...column }) => column),
    duplicates: countDuplicates(rows, rows.columns),
    format,
    incomplete,
    lengths: { unit: parsed.countTokens ? 'tokens' : 'words', parts: summaries },
    exceeding:
      maxLength === undefined ? undefined : { maxLength, rows: totals.filter((total) => total > maxLength).length },
    classes: classColumns.map((column) => ({
      column,
      counts: [...(columns.find(({ name }) => name === column)?.counts ?? [])]
        .map(([value, n]) => ({ value, count: n }))
        .sort((a, b) => b.count - a.count),
    })),
    overlap:
      against === undefined
        ? undefined
        : {
            column: overlapColumn ?? 'prompt',
            ...findOverlap(
              overlapTexts(rows, overlapColumn, parsed),
              overlapTexts(against as unknown as Dataset<Row>, overlapColumn, parsed),
              parsed.overlap,
            ),
          },
  }
}
