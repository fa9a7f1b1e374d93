/**
 * Looks for strings that end a text while the text arrives in pieces. What may be the beginning of one is held back
 * until the next piece tells.
 */
export class StopStrings {
  #held = ''
  #found = false
  readonly #stops: readonly string[]

  constructor(stops: readonly string[]) {
    this.#stops = stops
  }

  get found(): boolean {
    return this.#found
  }

  /** Takes a piece; returns the text that can be shown and whether a stop string was found, which is left out. */
  push(piece: string): { text: string; found: boolean } {
    const text = this.#held + piece
    let at = -1
    for (const stop of this.#stops) {
      const index = text.indexOf(stop)
      if (index >= 0 && (at < 0 || index < at)) at = index
    }
    if (at >= 0) {
      this.#held = ''
      this.#found = true
      return { text: text.slice(0, at), found: true }
    }
    let keep = 0
    for (const stop of this.#stops)
      for (let length = Math.min(stop.length - 1, text.length); length > keep; length--)
        if (stop.startsWith(text.slice(text.length - length))) keep = length
    this.#held = text.slice(text.length - keep)
    return { text: text.slice(0, text.length - keep), found: false }
  }

  /** What was held back: no stop string came of it. */
  end(): string {
    const rest = this.#held
    this.#held = ''
    return rest
  }
}
