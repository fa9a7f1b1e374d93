import { incompatible, type Message } from '@tunesmith/core'
import type { TokenizerState } from '../tokenizer-state'
import { endsWithEndToken, endTags, endTokensOf } from './end-tokens'
import type { ParsedChatOptions } from './options'
import { speakerToken, specialTokens } from './speaker-tokens'
import { alignEnd, commonEnd, commonStart, withoutTornTag } from './turn-marks'
import { TurnPrints } from './turn-prints'

/**
 * Finds what the assistant wrote under a template without generation tags, by printing parts of the conversation.
 *
 * A turn begins where the prompt for it ends (the messages before it and the generation prompt) and ends where the print of
 * the conversation up to it does, without the white space after the last end token. Usually both prints are beginnings of
 * the whole; where the template prints earlier messages differently in the whole (reasoning left out, tools moved to the
 * last turn), the place is found where the whole agrees longest with the end of such a print.
 */
export class TurnFinder {
  private readonly prints: TurnPrints

  constructor(
    private readonly tokenizer: TokenizerState,
    private readonly messages: readonly Message[],
    private readonly options: ParsedChatOptions,
  ) {
    this.prints = new TurnPrints(tokenizer, messages, options)
  }

  private get eos(): string | undefined {
    return this.tokenizer.specialTokens.roles.eos_token
  }

  /** The whole conversation. */
  get text(): string {
    return this.prints.text
  }

  /**
   * The `[start, end)` of what the assistant wrote in each of its turns, or in those that are `wanted`; empty when that is
   * nothing.
   *
   * @throws {TunesmithError} `incompatible` when it cannot be told, with the turn and the reason.
   */
  turns(wanted: (turn: number) => boolean = () => true): { turn: number; span: [number, number] }[] {
    const found: { turn: number; span: [number, number] }[] = []
    for (const [turn, { role }] of this.messages.entries()) {
      if (role !== 'assistant' || !wanted(turn)) continue
      const from = found.at(-1)?.span[1] ?? 0
      const start = this.startOf(turn, from)
      const span: [number, number] =
        start === undefined ? [from, from] : [start, this.withSpeaker(start, Math.max(start, this.endOf(turn, start)))]
      found.push({ turn, span })
    }
    return found
  }

  /** What turn `i` of the assistant ends with, after all that was said in it; '' when that cannot be told. */
  closing(i: number): string {
    const span = this.turns((turn) => turn === i)[0]?.span
    const said = this.prints.rangeOf(i)?.[1]
    return span && said !== undefined && said < span[1] ? this.text.slice(Math.max(said, span[0]), span[1]) : ''
  }

  /** Where the text of message `i` stands, of whatever role, with the end tokens after it; undefined when it does not. */
  message(i: number): [number, number] | undefined {
    const range = this.prints.rangeOf(i)
    if (!range) return undefined
    const tail = this.text.slice(range[1])
    const [first, end] = endTokensOf(tail, this.eos)
    return [range[0], range[1] + (tail.slice(0, first).trim() === '' ? end : 0)]
  }

  /** Undefined for a turn of which nothing is printed. */
  private startOf(i: number, from: number): number | undefined {
    const { text, prints } = this
    const asked = prints.of(i, true)
    if (typeof asked === 'string' && asked.length >= from && text.startsWith(asked)) return asked.length
    const bound = prints.rangeOf(i)?.[0]
    if (bound === undefined) return undefined
    if (bound < from) this.refuse(i)
    if (typeof asked !== 'string') return this.afterGenerationPrompt(from, bound)
    const before = Math.max(from, Math.min(bound, prints.rangeOf(i - 1)?.[1] ?? bound))
    const header = prints.generationPrompt()
    const at = header === '' ? -1 : text.slice(0, bound).lastIndexOf(header)
    if (at >= before) return at + header.length
    const shared = sharedHeader(asked, text, bound)
    if (shared >= before) return shared
    const history = prints.historyOf(i)
    const place = alignEnd(history, text, from, bound)
    // An agreement that does not reach into the message before is no sign of anything.
    if (place.at < before || place.at - place.length >= before) return bound
    return place.at + sharedHeader(asked.slice(history.length), text.slice(place.at), bound - place.at)
  }

  /** A turn that no prompt leads to (a conversation's first): after the header that the generation prompt would be. */
  private afterGenerationPrompt(from: number, bound: number): number {
    const header = this.prints.generationPrompt()
    const at = this.text.slice(0, bound).lastIndexOf(header)
    return header === '' || at < from ? bound : at + header.length
  }

  private endOf(i: number, start: number): number {
    const { text, options, prints } = this
    const last = i === this.messages.length - 1
    const isEnd = last && !options.addGenerationPrompt
    if (last && options.continueFinalMessage) return text.length
    if (this.alwaysAsks(i)) return this.closedAt(i, start)
    const closed = this.closedPrints(i)
    const whole = closed.find((print) => print.length >= start && text.startsWith(print))
    if (whole !== undefined) return this.trimmed(i, start, this.withEndTokens(start, whole.length, isEnd))
    if (isEnd) return this.trimmed(i, start, text.length)
    const said = prints.rangeOf(i)?.[1] ?? start
    const bound = last ? text.length : (prints.rangeOf(i + 1)?.[0] ?? text.length)
    if (said > bound) this.refuse(i)
    const places = closed.map((print) => alignEnd(print, text, start, bound))
    const best = places
      .filter(({ at, length }) => at >= said && at - length < said)
      .sort((a, b) => b.length - a.length)[0]
    return best ? this.trimmed(i, start, best.at) : this.closedAt(i, start)
  }

  /** What the conversation up to turn `i` prints to: before a generation prompt, and as a whole. */
  private closedPrints(i: number): string[] {
    const header = this.prints.generationPrompt()
    const open = this.prints.of(i + 1, true)
    const prints: string[] = []
    if (typeof open === 'string') prints.push(open.endsWith(header) ? open.slice(0, open.length - header.length) : open)
    const alone = header === '' ? undefined : this.prints.of(i + 1, false)
    if (typeof alone === 'string') prints.push(alone)
    return prints
  }

  /** Whether the template ends every conversation with (a part of) a prompt for the next turn, asked or not. */
  private alwaysAsks(i: number): boolean {
    const { prints } = this
    const [before, after] = [prints.of(i, false), prints.of(i + 1, false)]
    if (typeof before !== 'string' || typeof after !== 'string') return false
    const shared = before.slice(before.length - commonEnd(before, after)).replace(TORN_START, '')
    if (shared.slice(endTokensOf(shared, this.eos)[1]).trim() === '') return false
    const [begin, said] = prints.rangeOf(i, i + 1) ?? [after.length, after.length]
    if (after.length - shared.length < said && after.slice(said).trim() === '') return false
    // Where another message follows, the turn is closed as it is without, unless a prompt is part of that.
    return prints.answered(i + 1)?.includes(after.slice(Math.max(begin, said - ENOUGH))) === false
  }

  /** The end of a turn whose print does not say it: after the end tokens that follow what was said, in both prints. */
  private closedAt(i: number, start: number): number {
    const { text, prints, messages } = this
    const said = prints.rangeOf(i)?.[1]
    if (said === undefined || said < start) return start
    const [alone, there] = [prints.of(i + 1, false), prints.rangeOf(i, i + 1)?.[1]]
    let tail = text.slice(said)
    if (i < messages.length - 1 && typeof alone === 'string' && there !== undefined)
      tail = tail.slice(0, commonStart(tail, alone.slice(there)))
    return said + endTokensOf(tail, this.eos, true)[1]
  }

  /** Adds end tokens that are printed only at the end of the conversation, or only between turns. */
  private withEndTokens(start: number, end: number, isEnd: boolean): number {
    const closed = this.text.slice(start, end)
    const ended = endsWithEndToken(closed, this.eos)
    // After white space that follows an end token stands what the model is never asked to write.
    if (ended && (!isEnd || closed.trimEnd() !== closed)) return end
    const tail = this.text.slice(end)
    const [first, after] = endTokensOf(tail, this.eos)
    return tail.slice(0, first).trim() === '' ? end + after : end
  }

  /** Adds the token of the next speaker to a turn that ends with nothing else. */
  private withSpeaker(start: number, end: number): number {
    const { text, tokenizer, prints } = this
    if (end === text.length || endTags(text.slice(start, end), specialTokens(tokenizer)).length > 0) return end
    return end + speakerToken(text.slice(end), prints.generationPrompt(), tokenizer).length
  }

  /** Takes the space after the turn off: templates print it, the model never does. */
  private trimmed(i: number, start: number, end: number): number {
    const closed = this.text.slice(start, end)
    const trimmed = closed.trimEnd()
    // Without an end token the space may be the message's own.
    const own = trimmed === closed || endsWithEndToken(trimmed, this.eos) ? 0 : (this.prints.rangeOf(i)?.[1] ?? 0)
    return Math.max(start + trimmed.length, Math.min(end, own))
  }

  private refuse(i: number): never {
    const asked = this.prints.of(i, true)
    const said = typeof asked === 'object' ? `; of the prompt for it alone it says "${asked.message}"` : ''
    const why = `the chat template prints it more than once, around another turn, or out of order${said}`
    throw incompatible(`It cannot be told which tokens of this turn the assistant wrote: ${why}`, {
      where: `messages[${i}]`,
      remedy:
        'Use a template with {% generation %} tags, or one of ours, leave the turn out with "train": false, or train on prompt and completion',
    })
  }
}

/** So many units of what was said tell a turn's end from others. */
const ENOUGH = 16

/** The end of a tag whose beginning two texts do not share. */
const TORN_START = /^[^<>[\]\s]*[>\]]/

/**
 * How much of a prompt stands before what the assistant says. A prompt that is printed in part only ends before a tag that is
 * cut in two, and before one that the turn closes itself (`<think>` before reasoning, under a prompt `<think></think>`).
 */
function sharedHeader(prompt: string, text: string, bound: number): number {
  const common = Math.min(bound, commonStart(prompt, text))
  if (common === prompt.length) return common
  const shared = withoutTornTag(prompt.slice(0, common))
  const open = [...shared.matchAll(/[<[]([^<>[\]\s/]+)[>\]]/g)].find(([tag, name]) => {
    const close = tag.replace(name!, `/${name}`)
    return !shared.includes(close, shared.lastIndexOf(tag)) && text.includes(close, common)
  })
  return open ? open.index : shared.length
}
