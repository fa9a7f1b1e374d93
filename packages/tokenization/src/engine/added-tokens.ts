import { invalidData } from '@tunesmith/core'
import type { AddedTokenJson } from './tokenizer-json'
import { classes, isWhiteSpace, WORD } from './unicode/classes'
import { codePointAt } from './units'

interface Entry {
  units: Uint16Array
  token: AddedTokenJson
}

/** Called for each piece of a text in order; `id` is -1 for ordinary text. */
export type PieceVisitor = (start: number, end: number, id: number) => void

/**
 * Cuts added tokens ("<|im_end|>") out of a text before anything else sees it, as `tokenizers` does: leftmost match,
 * the longest on a tie; `lstrip`/`rstrip` swallow the spaces beside a match, `single_word` refuses one inside a word.
 */
export class AddedTokenMatcher {
  private readonly starts = new Uint8Array(0x10000)
  private readonly byFirst = new Map<number, Entry[]>()
  readonly size: number

  /** @param contents the text to look for and its token; with a normalizer the text is the normalized one. */
  constructor(contents: Iterable<readonly [string, AddedTokenJson]>) {
    let size = 0
    for (const [text, token] of contents) {
      if (text.length === 0) continue
      size++
      const units = new Uint16Array(text.length)
      for (let i = 0; i < text.length; i++) units[i] = text.charCodeAt(i)
      this.starts[units[0]!] = 1
      const list = this.byFirst.get(units[0]!) ?? []
      list.push({ units, token })
      this.byFirst.set(units[0]!, list)
    }
    for (const list of this.byFirst.values()) list.sort((a, b) => b.units.length - a.units.length)
    this.size = size
  }

  /**
   * Visits the pieces that `units[start..end)` falls into. A token that begins inside the spaces that the one before it
   * has swallowed is still found, and shares them.
   */
  split(units: Uint16Array, start: number, end: number, visit: PieceVisitor): void {
    let done = start
    let i = this.size === 0 ? end : start
    while (i < end) {
      const entry = this.starts[units[i]!] === 1 ? this.matchAt(units, i, end) : undefined
      if (!entry) {
        i++
        continue
      }
      let from = i
      let to = i + entry.units.length
      i = to
      if (entry.token.single_word && (isWordEnd(units, start, from) || isWordStart(units, to, end))) continue
      if (entry.token.lstrip) {
        while (from > start && isWhiteSpace(units[from - 1]!)) from--
        from = Math.max(from, done)
      }
      if (entry.token.rstrip) while (to < end && isWhiteSpace(units[to]!)) to++
      if (from > to) throw invalidData('Two added tokens claim the same spaces of this text; Rust tokenizers fails too')
      if (done < from) visit(done, from, -1)
      // A token that lies wholly in the spaces that the one before it has swallowed is nothing of its own.
      if (from < to) visit(from, to, entry.token.id)
      done = to
    }
    if (done < end) visit(done, end, -1)
  }

  private matchAt(units: Uint16Array, i: number, end: number): Entry | undefined {
    for (const entry of this.byFirst.get(units[i]!)!) {
      const { units: wanted } = entry
      const length = wanted.length
      if (i + length > end) continue
      let k = 1
      while (k < length && units[i + k] === wanted[k]) k++
      if (k === length) return entry
    }
    return undefined
  }
}

function isWordEnd(units: Uint16Array, start: number, at: number): boolean {
  if (at === start) return false
  const low = (units[at - 1]! & 0xfc00) === 0xdc00 && at - 2 >= start
  return (classes()[codePointAt(units, low ? at - 2 : at - 1, at)]! & WORD) !== 0
}

function isWordStart(units: Uint16Array, at: number, end: number): boolean {
  return at < end && (classes()[codePointAt(units, at, end)]! & WORD) !== 0
}
