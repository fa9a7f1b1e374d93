import type { IdBuffer } from './units'

const ENTRY = 5 // hash, key start, key length, ids start, ids length

/**
 * Remembers the ids of words already merged. Keys and values lie in flat typed arrays, so a hit costs one hash over the
 * word's code units and one comparison, and makes no garbage. When an arena is full everything is forgotten: natural
 * text refills it at once, and memory stays bounded (about 6 MB).
 */
export class WordCache {
  private readonly table: Int32Array
  private readonly entries: Int32Array
  private readonly keys: Uint16Array
  private readonly ids: Int32Array
  private count = 0
  private keyEnd = 0
  private idEnd = 0
  /** The hash of the last miss, for the `store` that follows it. */
  private missHash = 0

  constructor(private readonly capacity = 1 << 16) {
    this.table = new Int32Array(capacity * 2)
    this.entries = new Int32Array(capacity * ENTRY)
    this.keys = new Uint16Array(capacity * 12)
    this.ids = new Int32Array(capacity * 6)
  }

  /** Appends the ids of the word `units[start..end)` to `out` when they are known. */
  lookup(units: Uint16Array, start: number, end: number, out: IdBuffer): boolean {
    let h = end - start
    for (let i = start; i < end; i++) h = Math.imul(h ^ units[i]!, 0x01000193)
    h ^= h >>> 15
    h = Math.imul(h, 0x2c1b3c6d)
    h ^= h >>> 13
    const mask = this.table.length - 1
    const { table, entries, keys } = this
    for (let slot = h & mask; ; slot = (slot + 1) & mask) {
      const entry = table[slot]! - ENTRY
      if (entry < 0) break
      if (entries[entry] !== h || entries[entry + 2] !== end - start) continue
      let key = entries[entry + 1]!
      let i = start
      while (i < end && keys[key] === units[i]) {
        key++
        i++
      }
      if (i < end) continue
      const from = entries[entry + 3]!
      const length = entries[entry + 4]!
      if (out.length + length > out.ids.length) out.reserve(out.length + length)
      for (let k = 0; k < length; k++) out.ids[out.length + k] = this.ids[from + k]!
      out.length += length
      return true
    }
    this.missHash = h
    return false
  }

  /** Stores the ids of the word that `lookup` has just missed. */
  store(units: Uint16Array, start: number, end: number, symbols: Int32Array, count: number): void {
    if (end - start > 64) return
    if (
      this.count === this.capacity ||
      this.keyEnd + end - start > this.keys.length ||
      this.idEnd + count > this.ids.length
    ) {
      this.table.fill(0)
      this.count = this.keyEnd = this.idEnd = 0
    }
    const entry = this.count++ * ENTRY
    this.entries[entry] = this.missHash
    this.entries[entry + 1] = this.keyEnd
    this.entries[entry + 2] = end - start
    this.entries[entry + 3] = this.idEnd
    this.entries[entry + 4] = count
    for (let i = start; i < end; i++) this.keys[this.keyEnd++] = units[i]!
    for (let i = 0; i < count; i++) this.ids[this.idEnd++] = symbols[i]!
    const mask = this.table.length - 1
    let slot = this.missHash & mask
    while (this.table[slot] !== 0) slot = (slot + 1) & mask
    this.table[slot] = entry + ENTRY
  }
}
