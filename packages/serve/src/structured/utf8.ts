/**
 * The library counts what a byte begins as a character, and takes bytes that no UTF-8 text has, such as halves of surrogates: a reader would
 * see several characters for them. So they are kept out here.
 */

/** Bytes that byte-level tokens write as themselves; the others are U+0100 and on, in order. */
const PRINTED: [number, number][] = [
  [0x21, 0x7e],
  [0xa1, 0xac],
  [0xae, 0xff],
]
const isPrinted = (byte: number) => PRINTED.some(([first, last]) => byte >= first && byte <= last)
const BYTE_OF = new Map<string, number>()
let others = 0
for (let byte = 0; byte < 256; byte++) BYTE_OF.set(String.fromCharCode(isPrinted(byte) ? byte : 0x100 + others++), byte)

/** The bytes of a token as it is written in its tokenizer's file. */
export function bytesOf(token: string, type: 'byte_level' | 'byte_fallback'): number[] {
  if (type === 'byte_level') return Array.from(token, (char) => BYTE_OF.get(char) ?? 0xff)
  const byte = /^<0x([0-9A-F]{2})>$/.exec(token)?.[1]
  return byte === undefined ? [...Buffer.from(token)] : [Number.parseInt(byte, 16)]
}

const isContinuation = (byte: number | undefined) => byte !== undefined && byte >= 0x80 && byte < 0xc0
/** How many bytes follow a first one; undefined for what is none. */
function followers(byte: number): number | undefined {
  if (byte < 0x80) return 0
  return byte >= 0xc2 && byte < 0xe0 ? 1 : byte >= 0xe0 && byte < 0xf0 ? 2 : byte >= 0xf0 && byte < 0xf5 ? 3 : undefined
}
/** The second bytes that may come behind a first one (Unicode 15, table 3-7). */
function secondBytes(first: number): [number, number] {
  const narrow = { 224: [0xa0, 0xbf], 237: [0x80, 0x9f], 240: [0x90, 0xbf], 244: [0x80, 0x8f] }[first]
  return (narrow as [number, number] | undefined) ?? [0x80, 0xbf]
}

/** Where the text of an answer is inside a character. */
export interface Within {
  /** Bytes that are still to come; 0 between characters. */
  missing: number
  /** Of the next one. */
  next: [number, number]
}
export const BETWEEN: Within = { missing: 0, next: [0, 0xff] }

/** Where a text is behind some more bytes; undefined where they are not UTF-8. */
export function behind(within: Within, bytes: readonly number[]): Within | undefined {
  let { missing, next } = within
  for (const byte of bytes) {
    if (missing > 0) {
      if (byte < next[0] || byte > next[1]) return undefined
      missing--
      next = [0x80, 0xbf]
      continue
    }
    const count = followers(byte)
    if (count === undefined) return undefined
    missing = count
    if (missing > 0) next = secondBytes(byte)
  }
  return { missing, next }
}

/** Whether bytes can stand somewhere in UTF-8 text. */
export function isPart(bytes: readonly number[]): boolean {
  const start = bytes.findIndex((byte) => !isContinuation(byte))
  return start >= 0 ? start < 4 && behind(BETWEEN, bytes.slice(start)) !== undefined : bytes.length < 4
}

/** Whether a token goes on with a character that another one began. */
export const continues = (bytes: readonly number[]): boolean => isContinuation(bytes[0])
