import { invalidFile, type TunesmithError } from '@tunesmith/core'

/**
 * The rules of a SentencePiece `precompiled_charsmap`: a double-array trie (Darts) over UTF-8 bytes whose values are places
 * in a list of replacements, each of which ends with a zero byte.
 */
export class Charsmap {
  private constructor(
    private readonly trie: Uint32Array,
    private readonly replacements: Uint8Array,
  ) {}

  /** @throws {TunesmithError} `invalid_file` for what is not base64, is cut off, or holds replacements that are not UTF-8. */
  static parse(base64: string, where: string): Charsmap {
    const invalid = (what: string) => invalidFile(`The precompiled_charsmap ${what}`, { where })
    if (base64.length % 4 !== 0 || !/^[A-Za-z0-9+/]*={0,2}$/.test(base64)) throw invalid('is not base64')
    const bytes = Buffer.from(base64, 'base64')
    if (bytes.length < 4) throw invalid('is too short')
    const units = Math.floor(bytes.readUInt32LE(0) / 4)
    if (units === 0 || 4 + units * 4 > bytes.length) throw invalid('is cut off')
    const trie = new Uint32Array(units)
    for (let i = 0; i < units; i++) trie[i] = bytes.readUInt32LE(4 + i * 4)
    const replacements = bytes.subarray(4 + units * 4)
    try {
      new TextDecoder('utf-8', { fatal: true }).decode(replacements)
    } catch {
      throw invalid('has replacements that are not UTF-8')
    }
    return new Charsmap(trie, replacements)
  }

  /** What the shortest key that `text` begins with is replaced by (the whole text is), or undefined where there is none. */
  replacement(text: string): string | undefined {
    const { trie } = this
    let node = offsetOf(trie[0]!)
    for (const byte of Buffer.from(text)) {
      if (byte === 0) return undefined
      node ^= byte
      const unit = trie[node]
      if (unit === undefined) throw broken()
      // A label has its highest bit set where the unit is a value.
      if ((unit & 0x800000ff) >>> 0 !== byte) return undefined
      node ^= offsetOf(unit)
      if ((unit >>> 8) & 1) {
        const value = trie[node]
        if (value === undefined) throw broken()
        const start = value & 0x7fffffff
        if (start > this.replacements.length) throw broken()
        const end = this.replacements.indexOf(0, start)
        return Buffer.from(this.replacements.subarray(start, end === -1 ? undefined : end)).toString()
      }
    }
    return undefined
  }
}

function offsetOf(unit: number): number {
  return ((unit >>> 10) << ((unit & 0x200) >>> 6)) >>> 0
}

function broken(): TunesmithError {
  return invalidFile('The precompiled_charsmap of the tokenizer points outside itself')
}
