import { invalidData } from '@tunesmith/core'
import { z } from 'zod'
import { resampleSchema } from '../significance/bootstrap'

const bySystem = <Value extends z.ZodType>(value: Value) => z.record(z.string(), value)
/** Not a `z.number()`, which would refuse NaN and infinities. */
const anyNumber = z.custom<number>()
const interval = z.strictObject({ low: z.number(), high: z.number() })

export const rowSchema = z.strictObject({
  /** Names the row in every output. */
  id: z.union([z.string(), z.number()]),
  prompt: z.string().optional(),
  /** The wanted answer, or several. */
  reference: z.union([z.string(), z.array(z.string())]).optional(),
  /** What each system answered, by system name. */
  outputs: bySystem(z.string()),
})
/** One prompt with every system's answer. */
export type EvalRow = z.output<typeof rowSchema>

/** @throws {TunesmithError} `invalid_data` when a row has no output of one of the systems. */
export function checkOutputs(rows: readonly EvalRow[], systems: readonly string[], where: string): void {
  rows.forEach(({ outputs }, row) => {
    const absent = systems.find((system) => !Object.hasOwn(outputs, system))
    if (absent !== undefined) throw invalidData(`There is no output of "${absent}"`, { where: `${where}, row ${row}` })
  })
}

/**
 * The two systems to compare, the first row's first two unless they are given, checked together with the rows.
 *
 * @throws {TunesmithError} `invalid_data` when they are not two, a row lacks an output, or ids repeat.
 */
export function twoSystems(
  { rows, systems }: { rows: readonly EvalRow[]; systems?: readonly string[] },
  where: string,
): [string, string] {
  const [first, second] = systems ?? Object.keys(rows[0].outputs)
  const fail = (what: string, place = where): never => {
    throw invalidData(what, { where: place })
  }
  if (second === undefined || first === second) fail('A comparison needs two systems')
  checkOutputs(rows, [first, second], where)
  const ids = new Set<string>()
  rows.forEach(({ id }, row) => {
    if (ids.has(String(id))) fail(`The id "${id}" occurs twice`, `${where}, row ${row}`)
    ids.add(String(id))
  })
  return [first, second]
}

export const metricResultSchema = z.strictObject({
  name: z.string(),
  /** Scores per row, by system; a value that is not finite means the row has none. */
  scores: bySystem(z.array(anyNumber)).default({}),
  /** Scores of the whole corpus, by system, where they are not the mean of the rows' (BLEU, chrF, TER, F1). */
  corpus: bySystem(z.number()).optional(),
  /** Intervals of the corpus scores, by system. */
  intervals: bySystem(interval).optional(),
  /** How far each system is from the baseline, where the rows' scores cannot tell. */
  differences: bySystem(
    z.strictObject({
      difference: z.number(),
      low: z.number().optional(),
      high: z.number().optional(),
      pValue: z.number(),
    }),
  ).optional(),
  /** False for error rates and perplexity. Default true. */
  higherIsBetter: z.boolean().default(true),
  /** Settings, for whoever repeats the measurement. */
  signature: z.string().optional(),
})
/** A metric's scores for all systems, ready to be reported. */
export type MetricResult = z.input<typeof metricResultSchema>

const checkFailureSchema = z.strictObject({
  system: z.string(),
  /** Position in `rows`, from 0. */
  row: z.int().min(0),
  check: z.string(),
  message: z.string(),
})
/** One format check that one output did not pass. */
export type CheckFailure = z.output<typeof checkFailureSchema>

export const reportSchema = z.strictObject({
  rows: z.array(rowSchema).min(1, 'there are no rows to compare'),
  metrics: z.array(metricResultSchema).default([]),
  /** System names in the order to show; default the first row's outputs. */
  systems: z.array(z.string()).min(1).optional(),
  /** The system the others are measured against; default the first. */
  baseline: z.string().optional(),
  /** Failures of format checks, as `runChecks` returns them. */
  failures: z.array(checkFailureSchema).default([]),
  /** More sections for the HTML and Markdown, such as a loss curve; `html` is taken as it is and must be trusted. */
  sections: z
    .array(z.strictObject({ title: z.string(), html: z.string(), markdown: z.string().optional() }))
    .default([]),
  title: z.string().default('Evaluation report'),
  /** A line under the title: models, date, command. */
  subtitle: z.string().default(''),
  /** Metric whose change sorts the rows; default the first one with scores per row. */
  sortBy: z.string().optional(),
  /** Rows shown in full; half of them the greatest losses, half the greatest gains. Default 200. JSON and CSV have all. */
  maxRows: z.int().min(0).default(200),
  ...resampleSchema.shape,
})
export type ReportInput = z.output<typeof reportSchema>
/** See {@link compareReport}. */
export type ReportOptions = z.input<typeof reportSchema>
