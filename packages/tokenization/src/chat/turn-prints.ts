import { isTunesmithError, type Message, type TunesmithError } from '@tunesmith/core'
import type { TokenizerState } from '../tokenizer-state'
import type { ParsedChatOptions } from './options'
import { renderTemplate } from './render'
import { commonEnd, commonStart, withMarks, withoutTornTag } from './turn-marks'

/** What a template makes of a conversation, of its beginnings, and of the conversation with marks in a message. */
export class TurnPrints {
  /** The whole conversation. */
  readonly text: string
  private readonly prints = new Map<string, string | TunesmithError>()
  private readonly ranges = new Map<string, [number, number] | undefined>()
  private prompt: string | undefined

  constructor(
    private readonly tokenizer: TokenizerState,
    readonly messages: readonly Message[],
    private readonly options: ParsedChatOptions,
  ) {
    this.text = renderTemplate(tokenizer, messages, options).text
  }

  /** The first `count` messages, with or without generation prompt; the error where the template refuses them. */
  of(count: number, open: boolean): string | TunesmithError | undefined {
    if (count === 0) return undefined
    const key = `${count} ${open}`
    let print = this.prints.get(key)
    if (print === undefined) {
      print = this.render(this.messages.slice(0, count), open)
      this.prints.set(key, print)
    }
    return print
  }

  /**
   * From before the first to after the last text of message `i` in the print of the first `count` messages (all by
   * default); undefined where none of its texts is printed or the template refuses the marks.
   */
  rangeOf(i: number, count = this.messages.length): [number, number] | undefined {
    const key = `${i} ${count}`
    if (!this.ranges.has(key)) this.ranges.set(key, this.findRange(i, count))
    return this.ranges.get(key)
  }

  /** What the template prints so that the model writes a turn, `''` when nothing. */
  generationPrompt(): string {
    if (this.prompt !== undefined) return this.prompt
    const first = this.messages.findIndex((message, i) => i > 0 && message.role === 'assistant')
    const asked = first === -1 ? undefined : this.of(first, true)
    if (typeof asked === 'string') this.prompt = asked.slice(this.historyOf(first).length)
    else {
      const question = [{ role: 'user', content: '?' }]
      const [open, closed] = [this.render(question, true), this.render(question, false)]
      this.prompt =
        typeof open === 'string' && typeof closed === 'string' ? open.slice(sharedHistory(open, closed)) : ''
    }
    return this.prompt
  }

  /** The prompt for turn `i` without the generation prompt at its end. */
  historyOf(i: number): string {
    const [asked, history] = [this.of(i, true), this.of(i, false)]
    if (typeof asked !== 'string') return ''
    return typeof history === 'string' ? asked.slice(0, sharedHistory(asked, history)) : asked
  }

  /** The first `count` messages with a user's message after them; undefined where the template refuses that. */
  answered(count: number): string | undefined {
    const print = this.render([...this.messages.slice(0, count), { role: 'user', content: '?' }], false)
    return typeof print === 'string' ? print : undefined
  }

  private findRange(i: number, count: number): [number, number] | undefined {
    const whole = count === this.messages.length
    const print = whole ? this.text : this.of(count, false)
    const marked = withMarks(this.messages[i]!) ?? { ...this.messages[i]!, content: '?' }
    const changed = this.render(
      this.messages.slice(0, count).with(i, marked),
      whole && this.options.addGenerationPrompt,
    )
    if (typeof print !== 'string' || typeof changed !== 'string' || changed === print) return undefined
    const start = commonStart(changed, print)
    return [start, Math.max(start, print.length - commonEnd(changed, print))]
  }

  private render(messages: readonly Message[], addGenerationPrompt: boolean): string | TunesmithError {
    try {
      const options = { ...this.options, addGenerationPrompt, continueFinalMessage: false }
      return renderTemplate(this.tokenizer, messages, options).text
    } catch (error) {
      if (isTunesmithError(error) && error.code === 'invalid_data') return error
      throw error
    }
  }
}

/** How long the history is that a prompt and the same messages without generation prompt share. */
function sharedHistory(asked: string, history: string): number {
  const common = commonStart(asked, history)
  return common === history.length ? common : withoutTornTag(asked.slice(0, common)).length
}
