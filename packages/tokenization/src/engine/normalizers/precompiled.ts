import { Changes, eachCodePoint, type NormalizedText } from '../normalized-text'
import type { Charsmap } from './charsmap'
import { graphemeEnd } from './graphemes'

/** Graphemes of this many bytes and more are looked up character by character only. */
const LONG = 6

/** SentencePiece's own normalization: each grapheme, or else each character, becomes what the charsmap has for it. */
export function precompiled(charsmap: Charsmap): (text: NormalizedText) => void {
  // Almost all of a text are the same few thousand characters.
  const known = new Map<string, string | undefined>()
  const replacement = (part: string): string | undefined => {
    let found = known.get(part)
    if (found !== undefined || known.has(part)) return found
    found = charsmap.replacement(part)
    if (known.size > 50_000) known.clear()
    known.set(part, found)
    return found
  }
  return (text) => {
    const changes = new Changes()
    let modified = false
    const put = (old: string, now: string) => {
      modified = true
      const before = [...old].length
      const codes = Array.from(now, (char) => char.codePointAt(0)!)
      for (const [i, code] of codes.entries()) changes.push(code, i >= before ? 1 : 0)
      // What was longer is noted at its last character, or at the last one before it when nothing is left of it.
      const last = changes.changes.length - 1
      if (codes.length < before && last >= 0) changes.changes[last]! += codes.length - before
    }
    const { text: old } = text
    for (let at = 0; at < old.length; ) {
      const end = graphemeEnd(old, at)
      const grapheme = old.slice(at, end)
      at = end
      const whole = Buffer.byteLength(grapheme) < LONG ? replacement(grapheme) : undefined
      if (whole !== undefined) {
        put(grapheme, whole)
        continue
      }
      eachCodePoint(grapheme, (c) => {
        const char = String.fromCodePoint(c)
        const other = replacement(char)
        if (other === undefined) changes.push(c, 0)
        else put(char, other)
      })
    }
    if (modified) text.transform(changes, 0)
  }
}
