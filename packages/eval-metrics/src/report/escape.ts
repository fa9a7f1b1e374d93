/** A cell of a CSV file (RFC 4180); text a spreadsheet would run as a formula gets a leading apostrophe. */
function csvCell(value: string | number | boolean | null | undefined): string {
  if (value === null || value === undefined) return ''
  if (typeof value !== 'string') return String(value)
  const text = /^[=+\-@\t\r]/.test(value) ? `'${value}` : value
  return /[",\n\r]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text
}

/** Lines of a CSV file. */
export function csvText(lines: readonly (readonly Parameters<typeof csvCell>[0][])[]): string {
  return `${lines.map((cells) => cells.map(csvCell).join(',')).join('\r\n')}\r\n`
}

/** Text inside a Markdown table cell. */
export function markdownCell(text: string): string {
  return text.replace(/[\\`*_{}[\]<>|#!]/g, '\\$&').replace(/\s+/g, ' ')
}
