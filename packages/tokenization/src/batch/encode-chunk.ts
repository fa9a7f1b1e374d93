import type { Engine } from '../engine/engine'
import { IdBuffer } from '../engine/units'

/** The ids of several texts end to end; those of text i lie before `ends[i]`. */
export interface EncodedChunk {
  ids: Int32Array
  ends: Int32Array
}

/** Encodes texts one after the other into one array, without special tokens. */
export function encodeChunk(engine: Engine, texts: readonly string[]): EncodedChunk {
  const out = new IdBuffer()
  const ends = new Int32Array(texts.length)
  for (const [i, text] of texts.entries()) {
    engine.encode(wellFormed(text), out)
    ends[i] = out.length
  }
  return { ids: out.ids.slice(0, out.length), ends }
}

/** UTF-16 without lone surrogates, which no tokenizer has a token for: each becomes U+FFFD. */
export function wellFormed(text: string): string {
  const string = text as unknown as { isWellFormed(): boolean; toWellFormed(): string }
  return string.isWellFormed() ? text : string.toWellFormed()
}

/** `[start, end)` of consecutive texts that together have about `units` UTF-16 units. */
export function* chunksOf(texts: readonly string[], units: number): Generator<[number, number]> {
  let start = 0
  let size = 0
  for (const [i, text] of texts.entries()) {
    size += text.length
    if (size < units && i + 1 < texts.length) continue
    yield [start, i + 1]
    start = i + 1
    size = 0
  }
}
