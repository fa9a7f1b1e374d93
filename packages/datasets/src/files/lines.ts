import { isUtf8 } from 'node:buffer'
import { invalidFile, unsupported } from '@tunesmith/core'

/** Consecutive lines without their line breaks; the first is line `first`, counted from 1. */
export interface LineBlock {
  lines: string[]
  first: number
}

/** V8 cannot hold a longer string, and no training row is near it. */
const MAX_LINE_BYTES = 0x1fffffe8

function decode(bytes: Buffer, first: number, file: string): LineBlock {
  if (!isUtf8(bytes)) {
    // Only now is the time spent to find the line.
    let start = 0
    let line = first
    for (let end = bytes.indexOf(10); end >= 0 && isUtf8(bytes.subarray(start, end)); line++) {
      start = end + 1
      end = bytes.indexOf(10, start)
    }
    throw invalidFile('The text is not UTF-8', { where: `${file}:${line}`, remedy: 'Save the file as UTF-8' })
  }
  const lines = bytes.toString('utf8').split('\n')
  if (bytes[bytes.length - 1] === 10) lines.pop()
  for (let i = 0; i < lines.length; i++) {
    const line = lines[i]!
    if (line.charCodeAt(line.length - 1) === 13) lines[i] = line.slice(0, -1)
  }
  if (first === 1 && lines[0]?.charCodeAt(0) === 0xfeff) lines[0] = lines[0].slice(1)
  return { lines, first }
}

/**
 * Splits bytes into lines at LF or CRLF, without a byte order mark. A line may be as long as a string can be, and costs
 * time in proportion to its length however it is cut into pieces.
 */
export async function* readLines(pieces: AsyncIterable<Buffer>, file: string): AsyncGenerator<LineBlock> {
  let pending: Buffer[] = []
  let pendingBytes = 0
  let first = 1
  const flush = (): LineBlock => {
    const block = decode(pending.length === 1 ? pending[0]! : Buffer.concat(pending, pendingBytes), first, file)
    first += block.lines.length
    pending = []
    pendingBytes = 0
    return block
  }
  for await (const piece of pieces) {
    const end = piece.lastIndexOf(10) + 1
    if (pendingBytes + (end || piece.length) > MAX_LINE_BYTES)
      throw unsupported('A line is longer than 512 MB', { where: `${file}:${first}`, remedy: 'Store one row a line' })
    if (end > 0) {
      pending.push(piece.subarray(0, end))
      pendingBytes += end
      yield flush()
    }
    if (end < piece.length) {
      pending.push(piece.subarray(end))
      pendingBytes += piece.length - end
    }
  }
  if (pendingBytes > 0) yield flush()
}
