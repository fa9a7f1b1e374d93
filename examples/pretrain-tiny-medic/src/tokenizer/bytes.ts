/**
 * The printable character that stands for each byte in a byte-level vocabulary: printable bytes stand for themselves,
 * the others follow from U+0100 on (the table of GPT-2's encoder.py).
 */
export const byteCharacters: string[] = (() => {
  const printable = (byte: number) => (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || byte >= 174
  let next = 256
  return Array.from({ length: 256 }, (_, byte) => String.fromCharCode(printable(byte) ? byte : next++))
})()

/** Text as the characters of its UTF-8 bytes. */
export function toByteCharacters(text: string): string[] {
  return Array.from(new TextEncoder().encode(text), (byte) => byteCharacters[byte]!)
}
