import type { TunesmithError } from '@tunesmith/core'

/** Rows left out under `onError: 'skip'`. */
export interface SkipReport {
  count: number
  /** The first thousand, each with its place and reason. */
  log: { where: string | undefined; message: string }[]
}

const LOGGED = 1000

/** Raises errors of rows, or counts and notes them, by the policy chosen. */
export function rowErrorHandler(policy: 'error' | 'skip', report: SkipReport): (error: TunesmithError) => void {
  return (error) => {
    if (policy === 'error') throw error
    report.count++
    if (report.log.length < LOGGED) report.log.push({ where: error.where, message: error.message })
  }
}
