import { parseOptions } from '@tunesmith/core'
import { z } from 'zod'
import { type CheckFailure, rowSchema } from '../report/types'
import type { FormatCheck } from './checks'

export const checkSchema = z.custom<FormatCheck>(
  (value) => typeof (value as FormatCheck | undefined)?.run === 'function',
  'not a format check',
)
const schema = z.strictObject({ rows: z.array(rowSchema), checks: z.array(checkSchema) })

export interface CheckResult {
  /** Every failure, for the report: which system, row and check, and what was wrong. */
  failures: CheckFailure[]
  /** Share of rows that pass, `rates[check][system]`. */
  rates: Record<string, Record<string, number>>
  /** 1 or 0 per row, `passed[check][system][row]`: scores like any other, for tests and reports. */
  passed: Record<string, Record<string, number[]>>
}

/** Runs format checks over every system's outputs. */
export function runChecks(options: z.input<typeof schema>): CheckResult {
  const { rows, checks } = parseOptions(schema, options, 'runChecks')
  const result: CheckResult = { failures: [], rates: {}, passed: {} }
  const systems = Object.keys(rows[0]?.outputs ?? {})
  for (const check of checks) {
    result.passed[check.name] = {}
    result.rates[check.name] = {}
    for (const system of systems) {
      const passed = rows.map((row, i) => {
        const messages = check.run(row.outputs[system] ?? '', row)
        for (const message of messages) result.failures.push({ system, row: i, check: check.name, message })
        return messages.length === 0 ? 1 : 0
      })
      result.passed[check.name][system] = passed
      result.rates[check.name][system] = passed.reduce<number>((sum, x) => sum + x, 0) / rows.length
    }
  }
  return result
}
