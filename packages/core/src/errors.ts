import { plainText } from './plain-text'
import { redactSecrets, withoutSecrets } from './secrets'

/** What kind of thing went wrong; programs switch on this, people read the message. */
export type TunesmithErrorCode =
  | 'invalid_options' // an option, config key or argument is missing, misspelt or of the wrong type
  | 'invalid_data' // a dataset row or the text in it
  | 'invalid_file' // a file that is truncated, corrupt or not what its name says
  | 'not_found' // a file, folder, model, dataset, tensor or token that is not there
  | 'incompatible' // two things that do not fit: adapter and base, checkpoint and architecture
  | 'unsupported' // well-formed, but nothing here can do it
  | 'network' // the Hub or another server did not answer as it should
  | 'io' // the disk refused: full, read-only, no permission
  | 'out_of_memory'
  | 'numerical' // NaN or infinity where a number was needed
  | 'busy' // more was asked for than is taken at once; the same may work later
  | 'aborted' // the user or a signal asked to stop
  | 'backend' // the compute backend is missing or failed
  | 'internal' // our own mistake

export interface TunesmithErrorOptions {
  code: TunesmithErrorCode
  /** Where it happened: a file, `file:line`, row, column, config key or tensor name. */
  where?: string
  /** What to do about it, as one sentence in the imperative. */
  remedy?: string
  cause?: unknown
}

// A registered symbol, so that an error from a second installed copy of this package is still recognised.
const MARKER = Symbol.for('tunesmith.error')

/** Text of any origin, fit for a log and a terminal. */
export const shown = (text: string): string => plainText(redactSecrets(text))

/**
 * The one error the packages throw: what was wrong, where, and what to do.
 *
 * `message` reads `<what> (<where>). <remedy>`; the parts are also properties. Keys known to this process are replaced by `***`
 * and control characters written out, since messages repeat what servers and files say.
 */
export class TunesmithError extends Error {
  override readonly name = 'TunesmithError'
  readonly code: TunesmithErrorCode
  /** The message without place and remedy. */
  readonly what: string
  readonly where: string | undefined
  readonly remedy: string | undefined

  constructor(text: string, { code, where: at, remedy: advice, cause }: TunesmithErrorOptions) {
    const what = shown(text)
    const where = at === undefined ? undefined : shown(at)
    const remedy = advice === undefined ? undefined : shown(advice)
    const place = where === undefined ? '' : ` (${where})`
    // What the network says may repeat what was sent, and whoever logs the error logs its cause.
    const options = cause === undefined ? undefined : { cause: code === 'network' ? withoutSecrets(cause) : cause }
    super(`${what}${place}${remedy === undefined ? '' : `. ${remedy}`}`, options)
    this.code = code
    this.what = what
    this.where = where
    this.remedy = remedy
    Object.defineProperty(this, MARKER, { value: true })
  }
}

const errorOf =
  (code: TunesmithErrorCode) =>
  (what: string, details: Omit<TunesmithErrorOptions, 'code'> = {}): TunesmithError =>
    new TunesmithError(what, { code, ...details })

// Errors by their code: `throw notFound('There is no such file', { where: path, remedy: 'Check the path' })`.
export const invalidOptions = errorOf('invalid_options')
export const invalidData = errorOf('invalid_data')
export const invalidFile = errorOf('invalid_file')
export const notFound = errorOf('not_found')
export const incompatible = errorOf('incompatible')
export const unsupported = errorOf('unsupported')
export const networkError = errorOf('network')

/** The same error at a place: a row, before the column it names. Other errors become `internal`. */
export function errorAt(place: string, error: unknown): TunesmithError {
  const { what, code, where, remedy } = isTunesmithError(error)
    ? error
    : {
        what: String((error as Error)?.message ?? error),
        code: 'internal' as const,
        where: undefined,
        remedy: undefined,
      }
  return new TunesmithError(what, { code, where: where ? `${place}, ${where}` : place, remedy, cause: error })
}

/** True for a {@link TunesmithError}, whichever installed copy of the package made it. */
export function isTunesmithError(error: unknown): error is TunesmithError {
  return typeof error === 'object' && error !== null && (error as { [MARKER]?: boolean })[MARKER] === true
}
