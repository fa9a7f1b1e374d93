const ENTITIES: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' }

/** Text as HTML or SVG text or attribute value. Control characters, which both forbid, and lone surrogates become U+FFFD. */
export function escapeHtml(text: string): string {
  return text
    .replace(/[&<>"']/g, (character) => ENTITIES[character]!)
    .replace(/(?![\t\n\r])\p{Cc}|\p{Surrogate}/gu, '\ufffd')
}
