import { invalidData, type TunesmithError } from '@tunesmith/core'

/** Called for each code point of a text in order. */
export const eachCodePoint = (text: string, visit: (c: number, at: number) => void): void => {
  for (let i = 0; i < text.length; ) {
    const c = text.codePointAt(i)!
    visit(c, i)
    i += c > 0xffff ? 2 : 1
  }
}

/** What a transformation makes of a text, code point by code point. See {@link NormalizedText.transform}. */
export class Changes {
  readonly codes: number[] = []
  readonly changes: number[] = []

  push(code: number, change: number): void {
    this.codes.push(code)
    this.changes.push(change)
  }
}

/** Matches and gaps of a pattern in order, as triples of start, end (in units) and 1 for a match. */
export type Matches = number[]

/**
 * A stretch of a text in the form that normalizers have given it, with the place that each unit of it comes from: what
 * `NormalizedString` is to Rust `tokenizers`, whose rules for these places are followed, in UTF-16 units for bytes.
 */
export class NormalizedText {
  /**
   * @param text the normalized form.
   * @param starts for each unit of `text` the first unit of the original it stands for, and `ends` the one after the last;
   *   undefined while every unit stands for itself.
   * @param from where the stretch begins in the original, and `to` where it ends.
   */
  constructor(
    public text: string,
    public starts: Int32Array | undefined,
    public ends: Int32Array | undefined,
    readonly from: number,
    readonly to: number,
  ) {}

  static of(text: string, from: number): NormalizedText {
    return new NormalizedText(text, undefined, undefined, from, from + text.length)
  }

  startOf(unit: number): number {
    return this.starts ? this.starts[unit]! : this.from + unit
  }

  endOf(unit: number): number {
    return this.ends ? this.ends[unit]! : this.from + unit + 1
  }

  /** Where in the original `text[a..b)` comes from; both lie between characters. */
  range(a: number, b: number): [number, number] {
    return a === b ? [this.from + a, this.from + a] : [this.startOf(a), this.endOf(b - 1)]
  }

  slice(a: number, b: number): NormalizedText {
    const [from, to] = this.range(a, b)
    return new NormalizedText(this.text.slice(a, b), this.starts?.subarray(a, b), this.ends?.subarray(a, b), from, to)
  }

  /** Replaces the text by another with as many units, each of which stands for what the one in its place stood for. */
  rewrite(text: string): void {
    this.text = text
  }

  /** Leaves only `text[a..b)`, of the same stretch of the original. */
  cut(a: number, b: number): void {
    // Without a place for each unit the first would be taken for the beginning of the stretch.
    const starts = this.starts?.subarray(a, b) ?? Int32Array.from({ length: b - a }, (_, i) => this.unitStart(a + i))
    const ends = this.ends?.subarray(a, b) ?? Int32Array.from({ length: b - a }, (_, i) => this.unitEnd(a + i))
    this.text = this.text.slice(a, b)
    this.starts = starts
    this.ends = ends
  }

  /**
   * Replaces the whole text by code points that each say how they came about: 0 replaces the next character, 1 is a new one
   * that stands for the same as the one before, -n replaces the next and swallows n more.
   *
   * @param skipped characters that are left out at the very beginning.
   */
  transform({ codes, changes }: Changes, skipped: number): void {
    const { text } = this
    // Leading units that stand for nothing are no part of what Rust replaces.
    let first = 0
    if (this.starts) while (first < text.length && this.starts[first] === this.ends![first]) first++
    if (text.length === 0 && this.from !== this.to) return
    // A stretch that nothing of the original belongs to is not replaced: the new text comes before it.
    const limit = this.from === this.to ? 0 : text.length
    if (limit === 0) first = 0
    let at = first
    const pass = (count: number) => {
      for (; count > 0 && at < limit; count--) at += text.codePointAt(at)! > 0xffff ? 2 : 1
    }
    pass(skipped)
    const starts: number[] = []
    const ends: number[] = []
    for (let i = 0; i < first; i++) {
      starts.push(this.starts![i]!)
      ends.push(this.ends![i]!)
    }
    for (let i = 0; i < codes.length; i++) {
      const change = changes[i]!
      let start = this.from
      let end = this.from
      if (change <= 0) {
        if (at >= text.length) throw misaligned()
        start = this.unitStart(at)
        end = this.unitEnd(at)
        pass(1)
        pass(-change)
      } else if (at > 0) {
        const width = at > 1 && (text.charCodeAt(at - 1) & 0xfc00) === 0xdc00 ? 2 : 1
        start = this.startOf(at - width)
        end = this.endOf(at - 1)
      }
      for (let width = codes[i]! > 0xffff ? 2 : 1; width > 0; width--) {
        starts.push(start)
        ends.push(end)
      }
    }
    if (limit === 0)
      for (let i = 0; i < text.length; i++) {
        starts.push(this.startOf(i))
        ends.push(this.endOf(i))
      }
    this.text = text.slice(0, first) + textOf(codes) + (limit === 0 ? text : '')
    this.starts = Int32Array.from(starts)
    this.ends = Int32Array.from(ends)
  }

  /** Leaves out the characters that `keep` says no to. */
  filter(keep: (c: number) => boolean): void {
    let all = true
    eachCodePoint(this.text, (c) => {
      all &&= keep(c)
    })
    if (all) return
    const changes = new Changes()
    let skipped = 0
    let removed = 0
    let last = -1
    eachCodePoint(this.text, (c) => {
      if (!keep(c)) {
        removed++
        return
      }
      if (last === -1) skipped = removed
      else changes.push(last, -removed)
      last = c
      removed = 0
    })
    if (last !== -1) changes.push(last, -removed)
    this.transform(changes, skipped)
  }

  /** Puts `content` in front; it stands for the same as the first character. */
  prepend(content: string): void {
    const { text } = this
    if (text === '') return
    const width = text.codePointAt(0)! > 0xffff ? 2 : 1
    // The first character itself counts as new: without any content it stands for nothing.
    const start = content === '' ? this.from : this.startOf(0)
    const end = content === '' ? this.from : this.endOf(width - 1)
    const total = content.length + text.length
    const starts = new Int32Array(total)
    const ends = new Int32Array(total)
    for (let i = 0; i < total; i++) {
      const old = i - content.length
      starts[i] = old < width ? start : this.unitStart(old)
      ends[i] = old < width ? end : this.unitEnd(old)
    }
    this.text = content + text
    this.starts = starts
    this.ends = ends
  }

  /** Puts `content` for every match. */
  replace(matches: Matches, content: string): void {
    const { text } = this
    let out = ''
    const starts: number[] = []
    const ends: number[] = []
    let same = this.starts === undefined || content.length === 1
    for (let i = 0; i < matches.length; i += 3) {
      const [start, end] = [matches[i]!, matches[i + 1]!]
      if (matches[i + 2] === 1) {
        out += content
        if (end - start !== content.length || content.length !== 1) same = false
      } else out += text.slice(start, end)
    }
    if (same) {
      this.text = out
      return
    }
    for (let i = 0; i < matches.length; i += 3) {
      const [start, end] = [matches[i]!, matches[i + 1]!]
      if (matches[i + 2] === 0)
        for (let k = start; k < end; k++) {
          starts.push(this.unitStart(k))
          ends.push(this.unitEnd(k))
        }
      else
        for (let k = 0; k < content.length; k++) {
          starts.push(end === 0 ? this.from : this.unitStart(end - 1))
          ends.push(end === 0 ? this.from : this.unitEnd(end - 1))
        }
    }
    this.text = out
    this.starts = Int32Array.from(starts)
    this.ends = Int32Array.from(ends)
  }

  /** `startOf` and `endOf` of the whole character that a unit is part of. */
  private unitStart(unit: number): number {
    if (this.starts) return this.starts[unit]!
    return this.from + (isLow(this.text, unit) ? unit - 1 : unit)
  }

  private unitEnd(unit: number): number {
    if (this.ends) return this.ends[unit]!
    return this.from + (isLow(this.text, unit + 1) ? unit + 2 : unit + 1)
  }
}

function isLow(text: string, unit: number): boolean {
  return (text.charCodeAt(unit) & 0xfc00) === 0xdc00
}

/** The text that code points spell. */
export function textOf(codes: readonly number[]): string {
  if (codes.length < 1024) return String.fromCodePoint(...codes)
  let out = ''
  for (let i = 0; i < codes.length; i += 1024) out += String.fromCodePoint(...codes.slice(i, i + 1024))
  return out
}

function misaligned(): TunesmithError {
  return invalidData('A normalizer makes more characters of this text than it takes; Rust tokenizers fails too')
}
