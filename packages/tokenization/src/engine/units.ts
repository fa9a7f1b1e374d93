/**
 * Text as UTF-16 code units in a typed array. The engines below read text only through this: indexing a typed array is
 * one machine instruction whatever shape the JavaScript string has, and no substring is ever made.
 */
export class UnitBuffer {
  units = new Uint16Array(4096)
  private bytes = Buffer.from(this.units.buffer)
  length = 0

  /** Makes room for `length` units, keeping the content. */
  reserve(length: number): void {
    if (length <= this.units.length) return
    const grown = new Uint16Array(2 ** Math.ceil(Math.log2(length)))
    grown.set(this.units)
    this.units = grown
    this.bytes = Buffer.from(grown.buffer)
  }

  /** Replaces the content with `text`, leaving `gap` units free in front. Returns the total length. */
  load(text: string, gap = 0): number {
    this.reserve(text.length + gap)
    this.bytes.write(text, gap * 2, 'utf16le')
    this.length = text.length + gap
    return this.length
  }
}

/** A growing list of ids without boxing; `ids.subarray(0, length)` is the content. */
export class IdBuffer {
  ids = new Int32Array(4096)
  length = 0

  push(id: number): void {
    if (this.length === this.ids.length) this.reserve(this.length + 1)
    this.ids[this.length++] = id
  }

  reserve(length: number): void {
    if (length <= this.ids.length) return
    const grown = new Int32Array(2 ** Math.ceil(Math.log2(length)))
    grown.set(this.ids.subarray(0, this.length))
    this.ids = grown
  }

  /** The content from `start` on, as a plain array. */
  toArray(start = 0): number[] {
    const out = new Array<number>(this.length - start)
    for (let i = start; i < this.length; i++) out[i - start] = this.ids[i]!
    return out
  }
}

/** The code point at `i` of well-formed UTF-16 (`end` bounds the read). */
export function codePointAt(units: Uint16Array, i: number, end: number): number {
  const unit = units[i]!
  if ((unit & 0xfc00) !== 0xd800 || i + 1 >= end) return unit
  return 0x10000 + ((unit & 0x3ff) << 10) + (units[i + 1]! & 0x3ff)
}
