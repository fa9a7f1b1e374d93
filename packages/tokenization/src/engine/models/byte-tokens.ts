/** The spelling of a byte that `byte_fallback` uses: `<0x0A>`. */
export function byteToken(byte: number): string {
  return `<0x${byte.toString(16).toUpperCase().padStart(2, '0')}>`
}

/** The id of each byte's token, -1 where the vocabulary has none. */
export function utf8ByteTokens(vocab: ReadonlyMap<string, number>): Int32Array {
  return Int32Array.from({ length: 256 }, (_, byte) => vocab.get(byteToken(byte)) ?? -1)
}
