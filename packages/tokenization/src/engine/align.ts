import { byteOfToken } from './bytes'
import type { IdBuffer } from './units'

/**
 * Which units of `units[start..end)` each of the ids from `first` on stands for. The tokens of a byte-pair encoding spell
 * its input out, so their lengths say it all. A token that ends inside a character covers the whole of it.
 */
export function alignTokens(
  units: Uint16Array,
  start: number,
  end: number,
  out: IdBuffer,
  first: number,
  tokenOf: (id: number) => string | undefined,
  byteLevel: boolean,
): [number, number][] {
  const spans: [number, number][] = []
  let unit = start // the unit the next token starts in
  let inside = 0 // and how many bytes of that character are already taken
  for (let k = first; k < out.length; k++) {
    const token = tokenOf(out.ids[k]!) ?? ''
    const single = byteLevel ? -1 : byteOfToken(token)
    const spanStart = unit
    // A byte token spells a character of its own only when the character it stands in is not that very text.
    if (!byteLevel && (single === -1 || spells(units, unit, end, token))) {
      unit = Math.min(end, unit + token.length)
      spans.push([spanStart, unit])
      continue
    }
    let spanEnd = spanStart
    for (let bytes = byteLevel ? token.length : 1; bytes > 0 && unit < end; ) {
      const width = (units[unit]! & 0xfc00) === 0xd800 && unit + 1 < end ? 2 : 1
      const size = utf8Size(units[unit]!, width) - inside
      spanEnd = unit + width
      if (bytes < size) {
        inside += bytes
        break
      }
      bytes -= size
      inside = 0
      unit += width
    }
    spans.push([spanStart, spanEnd])
  }
  return spans
}

/** Bytes of the character that begins with `unit` and takes `width` UTF-16 units. */
export function utf8Size(unit: number, width: number): number {
  return width === 2 ? 4 : unit < 0x80 ? 1 : unit < 0x800 ? 2 : 3
}

function spells(units: Uint16Array, at: number, end: number, token: string): boolean {
  if (at + token.length > end) return false
  for (let i = 0; i < token.length; i++) if (units[at + i] !== token.charCodeAt(i)) return false
  return true
}
