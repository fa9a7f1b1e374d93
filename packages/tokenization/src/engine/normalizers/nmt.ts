import type { NormalizedText } from '../normalized-text'

/** The clean-up of Google's NMT: control characters go, other white space and joiners become a blank. */
export function nmt(text: NormalizedText): void {
  text.filter((c) => !isControl(c))
  text.rewrite(
    text.text.replace(/[\t\n\f\r\u1680\u200b-\u200f\u2028\u2029\u2581\ufeff\ufffd]/g, ' '), // each is one unit
  )
}

function isControl(c: number): boolean {
  return (c >= 0x01 && c <= 0x08) || c === 0x0b || (c >= 0x0e && c <= 0x1f) || c === 0x7f || c === 0x8f || c === 0x9f
}
