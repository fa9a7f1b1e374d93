/**
 * GPT-2's alphabet: the printable character that stands for each byte in a byte-level vocabulary. Printable Latin-1
 * stands for itself, the other 68 bytes take U+0100 onwards in order.
 */
export const BYTE_TO_CHAR: readonly string[] = (() => {
  const chars: string[] = []
  let next = 0x100
  for (let byte = 0; byte < 256; byte++) {
    const printable = (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xac) || byte >= 0xae
    chars.push(String.fromCharCode(printable ? byte : next++))
  }
  return chars
})()

/** The way back, by code unit (all below 0x144); -1 for a character outside the alphabet. */
export const CHAR_TO_BYTE: Int16Array = (() => {
  const bytes = new Int16Array(0x144).fill(-1)
  for (const [byte, char] of BYTE_TO_CHAR.entries()) bytes[char.charCodeAt(0)] = byte
  return bytes
})()

/** The byte a token like `<0x0A>` stands for, or -1. */
export function byteOfToken(token: string): number {
  const match = /^<0x([0-9A-Fa-f]{2})>$/.exec(token)
  return match ? Number.parseInt(match[1]!, 16) : -1
}

/** Writes the UTF-8 bytes of `units[start..end)` to `out` at 0; returns how many. A lone surrogate becomes U+FFFD. */
export function utf8Of(units: Uint16Array, start: number, end: number, out: Int32Array): number {
  let n = 0
  for (let i = start; i < end; i++) {
    let c = units[i]!
    if (c < 0x80) {
      out[n++] = c
      continue
    }
    if (c < 0x800) {
      out[n++] = 0xc0 | (c >> 6)
      out[n++] = 0x80 | (c & 0x3f)
      continue
    }
    if ((c & 0xf800) === 0xd800) {
      const low = i + 1 < end ? units[i + 1]! : 0
      if (c < 0xdc00 && (low & 0xfc00) === 0xdc00) {
        c = 0x10000 + ((c & 0x3ff) << 10) + (low & 0x3ff)
        i++
        out[n++] = 0xf0 | (c >> 18)
        out[n++] = 0x80 | ((c >> 12) & 0x3f)
        out[n++] = 0x80 | ((c >> 6) & 0x3f)
        out[n++] = 0x80 | (c & 0x3f)
        continue
      }
      c = 0xfffd
    }
    out[n++] = 0xe0 | (c >> 12)
    out[n++] = 0x80 | ((c >> 6) & 0x3f)
    out[n++] = 0x80 | (c & 0x3f)
  }
  return n
}
