import { eachMerge } from './models/merge-list'
import type { WordSplitter } from './split-words'
import type { BpeJson } from './tokenizer-json'

/**
 * Cuts a text wherever no merge can reach across, for vocabularies without a pre-tokenizer of their own (SentencePiece).
 *
 * If two neighbouring characters never stand side by side inside any token a merge can make, no merge ever joins them,
 * and the best-rank-first loop does the same on both sides of the gap as it does on the whole: the ids are identical,
 * and the short pieces can be remembered. The pairs are kept as bits of a hash; a collision only means one cut fewer.
 */
export function unjoinableSplitter(model: BpeJson, where: string): WordSplitter {
  const bits = new Uint8Array(1 << 18) // 2^21 bits
  const slot = (a: number, b: number) => (Math.imul(a, 0x9e3779b1) + Math.imul(b, 0x85ebca6b)) >>> 11
  eachMerge(model, where, (a, b) => {
    const token = a + b
    for (let i = 1; i < token.length; i++) {
      const s = slot(token.charCodeAt(i - 1), token.charCodeAt(i))
      bits[s >> 3]! |= 1 << (s & 7)
    }
  })
  return (units, start, end) => {
    let before = units[start]!
    for (let i = start + 1; i < end; i++) {
      const unit = units[i]!
      const s = (Math.imul(before, 0x9e3779b1) + Math.imul(unit, 0x85ebca6b)) >>> 11
      if ((bits[s >> 3]! & (1 << (s & 7))) === 0 && (unit & 0xfc00) !== 0xdc00) return i
      before = unit
    }
    return end
  }
}

/** Whether the cut above is exact: no unit is merged that is not text (byte tokens), and no word is looked up whole. */
export function canCutUnjoinable(model: BpeJson, where: string): boolean {
  if (model.ignore_merges || model.continuing_subword_prefix || model.end_of_word_suffix) return false
  const isByte = /^<0x[0-9A-Fa-f]{2}>$/
  let bytes = false
  eachMerge(model, where, (a, b) => {
    bytes ||= isByte.test(a) || isByte.test(b)
  })
  return !bytes
}
