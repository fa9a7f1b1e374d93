import { type ExampleRow, IGNORE_INDEX } from '@tunesmith/core'
import { forEachRow } from '../batch/chunks'
import { type BuildExamplesOptions, placeOf, trainedColumns } from '../example/build-many'
import type { ExampleOptions } from '../example/options'
import type { Tokenizer } from '../tokenizer'
import { checkRow } from './inspect'
import type { InspectWarning, WarningCode } from './warnings'

/** What {@link checkRows} found. */
export interface RowChecks {
  rows: number
  tokens: number
  /** Tokens that the loss sees. */
  trained: number
  /** Each kind of warning once, with the message of the first row that has it and how many rows do. */
  warnings: (InspectWarning & { rows: number })[]
}

/**
 * Looks for the mistakes that {@link inspect} warns of in many rows, in worker threads where that pays.
 *
 * @throws {TunesmithError} as `buildExamples`.
 */
export async function checkRows(
  tokenizer: Tokenizer,
  rows: readonly ExampleRow[],
  { where, threads, signal, label, ...options }: BuildExamplesOptions = {},
): Promise<RowChecks> {
  const here = (chunk: readonly ExampleRow[]) => checkChunk(tokenizer, chunk, options)
  const work = { kind: 'check', options, send: trainedColumns, where: placeOf(where), here }
  const parts = await tokenizer.batch.run(work, rows, { threads, signal, label })
  return parts.map(({ result }) => result).reduce(together, noRows())
}

const noRows = (): RowChecks => ({ rows: 0, tokens: 0, trained: 0, warnings: [] })

function together(a: RowChecks, b: RowChecks): RowChecks {
  const found = new Map<WarningCode, RowChecks['warnings'][number]>()
  for (const warning of [...a.warnings, ...b.warnings])
    found.set(warning.code, {
      ...(found.get(warning.code) ?? warning),
      rows: (found.get(warning.code)?.rows ?? 0) + warning.rows,
    })
  return {
    rows: a.rows + b.rows,
    tokens: a.tokens + b.tokens,
    trained: a.trained + b.trained,
    warnings: [...found.values()],
  }
}

/** The checks of some rows. */
export function checkChunk(tokenizer: Tokenizer, rows: readonly ExampleRow[], options: ExampleOptions): RowChecks {
  let checks = noRows()
  forEachRow(rows, (row) => {
    const { example, warnings } = checkRow(tokenizer, row, options)
    const { length: tokens } = example.inputIds
    const trained = example.labels.filter((label) => label !== IGNORE_INDEX).length
    checks = together(checks, {
      rows: 1,
      tokens,
      trained,
      warnings: warnings.map((warning) => ({ ...warning, rows: 1 })),
    })
  })
  return checks
}
