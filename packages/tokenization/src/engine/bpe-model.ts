import { TunesmithError } from '@tunesmith/core'
import { BYTE_TO_CHAR, utf8Of } from './bytes'
import { Merges } from './merges'
import type { BpeJson } from './tokenizer-json'
import { codePointAt, type IdBuffer } from './units'
import { WordCache } from './word-cache'

/** Turns one word (a stretch of text no merge crosses) into ids. */
export interface WordEncoder {
  encodeWord(units: Uint16Array, start: number, end: number, out: IdBuffer): void
}

function mergeTriples(model: BpeJson, where: string): [number, number, number][] {
  const prefixLength = [...(model.continuing_subword_prefix ?? '')].length
  return model.merges.map((merge, rank) => {
    const [a, b] = typeof merge === 'string' ? merge.split(' ') : merge
    const left = model.vocab[a!]
    const right = model.vocab[b!]
    const merged = model.vocab[a! + [...(b ?? '')].slice(prefixLength).join('')]
    if (left === undefined || right === undefined || merged === undefined)
      throw new TunesmithError(`Merge ${rank} (${JSON.stringify(merge)}) uses a token that is not in the vocabulary`, {
        code: 'invalid_file',
        where,
        remedy: 'Download tokenizer.json again; vocabulary and merges do not belong together',
      })
    return [left, right, merged]
  })
}

abstract class CachedBpe implements WordEncoder {
  protected readonly merges: Merges
  protected readonly vocab: Map<string, number>
  protected symbols = new Int32Array(256)
  private readonly cache = new WordCache()

  constructor(
    protected readonly model: BpeJson,
    where: string,
  ) {
    this.vocab = new Map(Object.entries(model.vocab))
    this.merges = new Merges(mergeTriples(model, where), model.merges.length)
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

/** Byte-level BPE (GPT-2 onwards): every byte is a token, so no text is unknown. */
export class ByteLevelBpe extends CachedBpe {
  private readonly byteIds = new Int32Array(256)

  constructor(model: BpeJson, where: string) {
    super(model, where)
    for (let byte = 0; byte < 256; byte++) this.byteIds[byte] = this.vocab.get(BYTE_TO_CHAR[byte]!) ?? -1
  }

  /** Whether the vocabulary has all 256 bytes; without them text could get lost. */
  static covers(model: BpeJson): boolean {
    return BYTE_TO_CHAR.every((char) => model.vocab[char] !== undefined)
  }

  protected initial(units: Uint16Array, start: number, end: number): number {
    this.room((end - start) * 3)
    const count = utf8Of(units, start, end, this.symbols)
    for (let i = 0; i < count; i++) this.symbols[i] = this.byteIds[this.symbols[i]!]!
    return count
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
  private readonly byteIds = new Int32Array(256)
  private readonly bytes = new Int32Array(4)

  constructor(model: BpeJson, where: string) {
    super(model, where)
    for (const [token, id] of this.vocab) {
      const c = token.codePointAt(0)
      if (c !== undefined && token.length === (c > 0xffff ? 2 : 1)) this.ids.set(c, id)
    }
    for (let byte = 0; byte < 256; byte++) this.byteIds[byte] = this.vocab.get(byteToken(byte)) ?? -1
  }

  /** Whether every byte has its token, so that no character is ever unknown. */
  static covers(model: BpeJson): boolean {
    if (!model.byte_fallback) return false
    for (let byte = 0; byte < 256; byte++) if (model.vocab[byteToken(byte)] === undefined) return false
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

function byteToken(byte: number): string {
  return `<0x${byte.toString(16).toUpperCase().padStart(2, '0')}>`
}
