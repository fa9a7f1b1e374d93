import { isTunesmithError, TunesmithError } from '@tunesmith/core'

/** What an error says, without its remedy. */
export const problemOf = (error: Error): string => (isTunesmithError(error) ? error.what : error.message)

/** Calls the addon; what it throws becomes a TunesmithError. */
export function guarded<Result>(call: () => Result): Result {
  try {
    return call()
  } catch (error) {
    const { message, code, remedy } = error as Error & { code?: string; remedy?: string }
    if (isTunesmithError(error) || typeof code !== 'string') throw error
    throw new TunesmithError(message, { code: code as never, remedy: remedy || undefined, cause: error })
  }
}
