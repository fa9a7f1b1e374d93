/** Everything that could command a terminal: the control characters but for line breaks and tabs. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is replaced
const CONTROL = /\r(?!\n)|[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]/g

/** Text from rows, models and servers as a terminal can show it: control characters are written out, as `\x1b`. */
export function plainText(text: string): string {
  return text.replace(CONTROL, (character) => `\\x${character.charCodeAt(0).toString(16).padStart(2, '0')}`)
}

/** JSON that a terminal can show: beside what JSON escapes, DEL and the C1 control characters. */
export function plainJson(value: unknown): string {
  return JSON.stringify(value).replace(/[\x7f-\x9f]/g, (character) => `\\u00${character.charCodeAt(0).toString(16)}`)
}
