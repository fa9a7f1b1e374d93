const REPLACEMENT = '\ufffd'

/**
 * Turns ids that arrive one by one into text that can be shown at once: a character whose bytes are still arriving is
 * held back. A few earlier ids stay in the window because a decoder treats the first token of a text differently.
 */
export class DecodeStream {
  private window: number[] = []
  private shown = 0 // how many ids of the window are already shown
  private shownText = '' // and their text

  /** @internal */
  constructor(private readonly decode: (ids: number[]) => string) {}

  /** Takes one id or several and returns the text that is now complete; often a word, sometimes nothing. */
  push(ids: number | readonly number[]): string {
    if (typeof ids === 'number') return this.take(ids)
    let text = ''
    for (const id of ids) text += this.take(id)
    return text
  }

  /** Returns what was held back: the replacement characters of an unfinished one. The stream is then empty. */
  end(): string {
    const rest = this.decode(this.window).slice(this.shownText.length)
    this.window = []
    this.shown = 0
    this.shownText = ''
    return rest
  }

  private take(id: number): string {
    this.window.push(id)
    const text = this.decode(this.window)
    if (text.length <= this.shownText.length || text.endsWith(REPLACEMENT) || !text.startsWith(this.shownText))
      return ''
    const piece = text.slice(this.shownText.length)
    // Keep only what has just been shown as context: it ends at a character, so later text cannot change it.
    this.window = this.window.slice(this.shown)
    this.shown = this.window.length
    this.shownText = this.decode(this.window)
    return piece
  }
}
