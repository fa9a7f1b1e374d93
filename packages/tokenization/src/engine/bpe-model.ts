import { BYTE_TO_CHAR, utf8Of } from './bytes'
import { Merges } from './merges'
import { byteToken, utf8ByteTokens } from './models/byte-tokens'
import { mergeTriples } from './models/merge-list'
import type { BpeJson } from './tokenizer-json'
import { codePointAt, type IdBuffer } from './units'
import { vocabMap } from './vocab-map'
import { WordCache } from './word-cache'

/** Turns one word (a stretch of text no merge crosses) into ids. */
export interface WordEncoder {
  encodeWord(units: Uint16Array, start: number, end: number, out: IdBuffer): void
}

abstract class CachedBpe implements WordEncoder {
  protected readonly merges: Merges
  protected readonly vocab: ReadonlyMap<string, number>
  protected symbols = new Int32Array(256)
  private readonly cache = new WordCache()

  constructor(
    protected readonly model: BpeJson,
    where: string,
  ) {
    this.vocab = vocabMap(model.vocab)
    this.merges = new Merges(mergeTriples(model, this.vocab, where))
  }

  /** Fills `symbols` with the ids before any merge and returns how many. */
  protected abstract initial(units: Uint16Array, start: number, end: number): number

  /** With `ignore_merges`: the id of a word that is itself in the vocabulary, or -1. */
  protected abstract wholeWord(units: Uint16Array, start: number, end: number): number

  encodeWord(units: Uint16Array, start: number, end: number, out: IdBuffer): void {
    if (this.cache.lookup(units, start, end, out)) return
    const whole = this.model.ignore_merges ? this.wholeWord(units, start, end) : -1
    let count = 1
    if (whole === -1) {
      const initial = this.initial(units, start, end) // may replace `symbols` by a longer one
      count = this.merges.apply(this.symbols, initial)
    } else this.symbols[0] = whole
    out.reserve(out.length + count)
    out.ids.set(this.symbols.subarray(0, count), out.length)
    out.length += count
    this.cache.store(units, start, end, this.symbols, count)
  }

  protected room(count: number): void {
    if (count > this.symbols.length) this.symbols = new Int32Array(count * 2)
  }
}

/** Bytes that never occur in UTF-8, which a vocabulary need not have. */
const isImpossible = (byte: number) => byte === 0xc0 || byte === 0xc1 || byte > 0xf4

/** Byte-level BPE (GPT-2 onwards): every byte is a token; those the vocabulary lacks are unknown, or left out. */
export class ByteLevelBpe extends CachedBpe {
  private readonly byteIds = new Int32Array(256)
  /** What stands for a byte without a token: the unknown token, or -1 for nothing. */
  private readonly unknown: number
  private readonly complete: boolean

  constructor(model: BpeJson, where: string) {
    super(model, where)
    for (let byte = 0; byte < 256; byte++) this.byteIds[byte] = this.vocab.get(BYTE_TO_CHAR[byte]!) ?? -1
    this.unknown = typeof model.unk_token === 'string' ? this.vocab.get(model.unk_token)! : -1
    this.complete = ByteLevelBpe.covers(model)
  }

  /** Whether the vocabulary has every byte that a text can hold. */
  static covers(model: BpeJson): boolean {
    return BYTE_TO_CHAR.every((char, byte) => isImpossible(byte) || Object.hasOwn(model.vocab, char))
  }

  /** Whether bytes that the vocabulary lacks are dealt with here. */
  static canMiss(model: BpeJson): boolean {
    return !model.byte_fallback && (typeof model.unk_token !== 'string' || Object.hasOwn(model.vocab, model.unk_token))
  }

  protected initial(units: Uint16Array, start: number, end: number): number {
    this.room((end - start) * 3)
    const { symbols, byteIds } = this
    const count = utf8Of(units, start, end, symbols)
    if (this.complete) {
      for (let i = 0; i < count; i++) symbols[i] = byteIds[symbols[i]!]!
      return count
    }
    let kept = 0
    let wasUnknown = false
    for (let i = 0; i < count; i++) {
      const known = byteIds[symbols[i]!]!
      const id = known === -1 ? this.unknown : known
      const fused = known === -1 && wasUnknown && this.model.fuse_unk === true
      if (id !== -1 && !fused) symbols[kept++] = id
      wasUnknown = known === -1
    }
    return kept
  }

  protected wholeWord(units: Uint16Array, start: number, end: number): number {
    this.room((end - start) * 3)
    const count = utf8Of(units, start, end, this.symbols)
    let word = ''
    for (let i = 0; i < count; i++) word += BYTE_TO_CHAR[this.symbols[i]!]
    return this.vocab.get(word) ?? -1
  }
}

/** Character BPE as SentencePiece trains it; a character outside the vocabulary falls back to its UTF-8 bytes. */
export class CharacterBpe extends CachedBpe {
  private readonly ids = new Map<number, number>()
  private readonly byteIds: Int32Array
  private readonly bytes = new Int32Array(4)

  constructor(model: BpeJson, where: string) {
    super(model, where)
    for (const [token, id] of this.vocab) {
      const c = token.codePointAt(0)
      if (c !== undefined && token.length === (c > 0xffff ? 2 : 1)) this.ids.set(c, id)
    }
    this.byteIds = utf8ByteTokens(this.vocab)
  }

  /** Whether every byte has its token, so that no character is ever unknown. */
  static covers(model: BpeJson): boolean {
    if (!model.byte_fallback) return false
    for (let byte = 0; byte < 256; byte++) if (!Object.hasOwn(model.vocab, byteToken(byte))) return false
    return true
  }

  protected initial(units: Uint16Array, start: number, end: number): number {
    this.room((end - start) * 3)
    let n = 0
    for (let i = start; i < end; ) {
      const c = codePointAt(units, i, end)
      const after = i + (c > 0xffff ? 2 : 1)
      const id = this.ids.get(c)
      if (id !== undefined) this.symbols[n++] = id
      else {
        const count = utf8Of(units, i, after, this.bytes)
        for (let k = 0; k < count; k++) this.symbols[n++] = this.byteIds[this.bytes[k]!]!
      }
      i = after
    }
    return n
  }

  protected wholeWord(units: Uint16Array, start: number, end: number): number {
    return this.vocab.get(String.fromCharCode(...units.subarray(start, end))) ?? -1
  }
}
