/** Exit codes of programs that end on a signal: 128 and the signal's number. */
export const INTERRUPT_EXIT_CODES = { SIGINT: 130, SIGTERM: 143 } as const

export type InterruptReason = keyof typeof INTERRUPT_EXIT_CODES | 'request'

/** A wish to end training soon and without loss, from a signal or from the program. */
export class Interrupt {
  #reason: InterruptReason | undefined
  #onFirst: ((reason: InterruptReason) => void) | undefined
  #handlers: [NodeJS.Signals, () => void][] = []

  get reason(): InterruptReason | undefined {
    return this.#reason
  }

  request(reason: InterruptReason = 'request'): void {
    if (this.#reason) return
    this.#reason = reason
    this.#onFirst?.(reason)
  }

  /** Takes SIGTERM and SIGINT until {@link stop}. A second SIGINT ends the process at once, as it does everywhere. */
  listen(onFirst: (reason: InterruptReason) => void, { signals }: { signals: boolean }): void {
    this.#onFirst = onFirst
    if (!signals) return
    for (const signal of ['SIGTERM', 'SIGINT'] as const) {
      const handler = () => {
        this.request(signal)
        if (signal === 'SIGINT') process.off(signal, handler)
      }
      process.on(signal, handler)
      this.#handlers.push([signal, handler])
    }
  }

  /** Gives the signals back and forgets the wish. */
  stop(): void {
    for (const [signal, handler] of this.#handlers) process.off(signal, handler)
    this.#handlers = []
    this.#onFirst = undefined
    this.#reason = undefined
  }
}
