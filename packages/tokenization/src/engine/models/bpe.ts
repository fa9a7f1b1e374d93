import { invalidFile } from '@tunesmith/core'
import { utf8Size } from '../align'
import { Merges } from '../merges'
import type { BpeJson } from '../tokenizer-json'
import { utf8ByteTokens } from './byte-tokens'
import { mergeTriples } from './merge-list'
import type { Model, WordTokens } from './model'

/**
 * Byte-pair encoding with everything a tokenizer.json can ask for: prefixes and suffixes inside a word, bytes for what is
 * unknown, an unknown token, or nothing at all: then the character is left out before merging, and the tokens
 * after it stand, as in Rust, for text that many bytes too early.
 */
export class Bpe implements Model {
  private readonly vocab: ReadonlyMap<string, number>
  private readonly merges: Merges
  private readonly byteIds: Int32Array | undefined
  private symbols = new Int32Array(256)
  private lengths = new Int32Array(256)
  private count = 0

  constructor(
    private readonly model: BpeJson,
    vocab: ReadonlyMap<string, number>,
    private readonly where: string,
  ) {
    this.vocab = vocab
    this.merges = new Merges(mergeTriples(model, vocab, where))
    this.byteIds = model.byte_fallback ? utf8ByteTokens(vocab) : undefined
  }

  tokenize(word: string): WordTokens {
    const whole = this.model.ignore_merges ? this.vocab.get(word) : undefined
    if (whole !== undefined) return { ids: [whole], spans: [0, word.length] }
    this.split(word)
    this.count = this.merges.applyWithLengths(this.symbols, this.lengths, this.count)
    return {
      ids: Array.from(this.symbols.subarray(0, this.count)),
      spans: spansOf(word, this.lengths.subarray(0, this.count)),
    }
  }

  private add(id: number, bytes: number): void {
    if (this.count === this.symbols.length) {
      const [symbols, lengths] = [new Int32Array(2 * this.count), new Int32Array(2 * this.count)]
      symbols.set(this.symbols)
      lengths.set(this.lengths)
      this.symbols = symbols
      this.lengths = lengths
    }
    this.symbols[this.count] = id
    this.lengths[this.count++] = bytes
  }

  /** The symbols of a word before any merge, each with the number of its bytes. */
  private split(word: string): void {
    const { continuing_subword_prefix: prefix, end_of_word_suffix: suffix, unk_token, fuse_unk } = this.model
    this.count = 0
    // Bytes of unknown characters that have not been added yet, of which there are none while it is 0.
    let unknownBytes = 0
    const flush = () => {
      if (unknownBytes > 0) this.add(this.unknownId(), unknownBytes)
      unknownBytes = 0
    }
    for (let i = 0; i < word.length; ) {
      const c = word.codePointAt(i)!
      const after = i + (c > 0xffff ? 2 : 1)
      let text = word.slice(i, after)
      const size = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4
      if (prefix && i > 0) text = prefix + text
      if (suffix && after === word.length) text += suffix
      i = after
      const id = this.vocab.get(text)
      if (id !== undefined) {
        flush()
        this.add(id, size)
        continue
      }
      if (this.byteIds) {
        // Bytes are added at once: an unknown character before them comes after them, in Rust as here.
        const bytes = Buffer.from(text)
        if (bytes.every((byte) => this.byteIds![byte] !== -1)) {
          for (const byte of bytes) this.add(this.byteIds[byte]!, 1)
          continue
        }
      }
      if (unk_token === null || unk_token === undefined) continue
      if (!fuse_unk) flush()
      this.unknownId()
      unknownBytes += size
    }
    flush()
  }

  private unknownId(): number {
    const { unk_token } = this.model
    const id = typeof unk_token === 'string' ? this.vocab.get(unk_token) : undefined
    if (id !== undefined) return id
    throw invalidFile(`The unknown token ${JSON.stringify(unk_token)} is not in the vocabulary`, { where: this.where })
  }
}

/** Where tokens of these numbers of UTF-8 bytes lie in `word`; one that ends inside a character covers the whole of it. */
function spansOf(word: string, lengths: Int32Array): number[] {
  const spans: number[] = []
  let unit = 0
  let inside = 0 // bytes already taken of the character at `unit`
  for (const length of lengths) {
    const start = unit
    let end = unit
    for (let bytes = length; bytes > 0 && unit < word.length; ) {
      const c = word.codePointAt(unit)!
      const width = c > 0xffff ? 2 : 1
      const size = utf8Size(c, width) - inside
      end = unit + width
      if (bytes < size) {
        inside += bytes
        break
      }
      bytes -= size
      inside = 0
      unit += width
    }
    spans.push(start, end)
  }
  return spans
}
