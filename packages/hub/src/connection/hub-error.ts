import { TunesmithError, type TunesmithErrorOptions } from '@tunesmith/core'

/** An answer of the Hub that is no success, or none at all: for callers that go on in another way. */
export class HubError extends TunesmithError {
  constructor(
    what: string,
    options: TunesmithErrorOptions,
    /** HTTP status; undefined when no answer came. */
    readonly status: number | undefined,
    /** What does not exist, or is not shown to this token. */
    readonly missing?: 'repo',
  ) {
    super(what, options)
  }

  /** The server could not be reached, is down or asks to wait: as opposed to an answer that forbids. */
  get passing(): boolean {
    return this.status === undefined || this.status === 429 || this.status >= 500
  }
}
