import { createTurns, EXAMPLE_COLUMNS, type ExampleRow, type TokenizedExample } from '@tunesmith/core'
import { forEachRow } from '../batch/chunks'
import type { BatchOptions } from '../batch/runner'
import type { Tokenizer } from '../tokenizer'
import { buildExample, type Example } from './build'
import type { ExampleOptions } from './options'

export interface BuildExamplesOptions extends ExampleOptions, BatchOptions {
  /** Where a row came from, for errors. Default `row 17`, counted from 0. */
  where?: ((index: number) => string | undefined) | undefined
}

/** Ids and labels of several rows end to end; those of row i lie before `ends[i]`. */
interface ExampleChunk {
  ids: Int32Array
  labels: Int32Array
  ends: Int32Array
}

/**
 * {@link buildExample} for many rows, in worker threads where that pays, without ever holding the event loop up.
 *
 * @returns one example per row, in the rows' order; ids and labels are views of larger arrays.
 * @throws {TunesmithError} as `buildExample`, naming the first row that fails; `aborted` when the signal fires.
 */
export async function buildExamples(
  tokenizer: Tokenizer,
  rows: readonly ExampleRow[],
  { where, threads, signal, label, ...options }: BuildExamplesOptions = {},
): Promise<TokenizedExample[]> {
  const here = (chunk: readonly ExampleRow[]) => buildChunk(tokenizer, chunk, options)
  const work = { kind: 'build', options, send: trainedColumns, where: placeOf(where), here }
  const parts = await tokenizer.batch.run(work, rows, { threads, signal, label })
  const examples: TokenizedExample[] = []
  const turns = createTurns()
  for (const { result } of parts) {
    const { ids, labels, ends } = result
    for (const [i, end] of ends.entries()) {
      const start = i === 0 ? 0 : ends[i - 1]!
      examples.push({ inputIds: ids.subarray(start, end), labels: labels.subarray(start, end) })
    }
    await turns()
  }
  return examples
}

/** A row's place, or its number. */
export const placeOf = (where: BuildExamplesOptions['where']) => (index: number) => where?.(index) ?? `row ${index}`

/** The columns that matter; all of them when there is none, for the error, and so is what is no row. */
export function trainedColumns(row: ExampleRow): ExampleRow {
  if (typeof row !== 'object' || row === null) return row
  const known = EXAMPLE_COLUMNS.filter((column) => row[column] !== undefined)
  return known.length === 0 ? row : Object.fromEntries(known.map((column) => [column, row[column]]))
}

/** Examples of some rows. */
export function buildChunk(tokenizer: Tokenizer, rows: readonly ExampleRow[], options: ExampleOptions): ExampleChunk {
  const built: Example[] = []
  forEachRow(rows, (row) => built.push(buildExample(tokenizer, row, options)))
  const ends = new Int32Array(built.length)
  let total = 0
  for (const [i, { inputIds }] of built.entries()) {
    total += inputIds.length
    ends[i] = total
  }
  const [ids, labels] = [new Int32Array(total), new Int32Array(total)]
  for (const [i, example] of built.entries()) {
    const start = i === 0 ? 0 : ends[i - 1]!
    ids.set(example.inputIds, start)
    labels.set(example.labels, start)
  }
  return { ids, labels, ends }
}
