import { isTunesmithError, shown } from '@tunesmith/core'

/** One clear message on standard error: what, where, what to do. The stack only when asked for, or when it is our mistake. */
export function reportError(error: unknown, verbose: boolean): void {
  if (!isTunesmithError(error)) {
    console.error(`\nerror: ${shown(String((error as Error)?.message ?? error))}`)
    console.error(
      verbose
        ? shown((error as Error)?.stack ?? '')
        : 'This was not foreseen. Run again with --verbose for the stack trace.',
    )
    return
  }
  console.error(`\nerror: ${error.message}`)
  if (verbose) console.error(shown(error.stack ?? ''))
}
