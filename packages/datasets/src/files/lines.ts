import { isUtf8 } from 'node:buffer'
import { invalidFile, unsupported } from '@tunesmith/core'

/** Consecutive lines without their line breaks; the first is line `first`, counted from 1. */
export interface LineBlock {
  lines: string[]
  first: number
}

/** V8 cannot hold a longer string, and no training row is near it. */
const MAX_LINE_BYTES = 0x1fffffe8

const LINE_BREAK = /\r\n|\n|\r/

function decode(bytes: Buffer, first: number, file: string): LineBlock {
  if (!isUtf8(bytes)) {
    // Only now is the time spent to find the line.
    const lines = bytes.toString('latin1').split(LINE_BREAK)
    const bad = lines.findIndex((line) => !isUtf8(Buffer.from(line, 'latin1')))
    throw invalidFile('The text is not UTF-8', { where: `${file}:${first + bad}`, remedy: 'Save the file as UTF-8' })
  }
  const text = bytes.toString('utf8')
  const lines = text.split(text.includes('\r') ? LINE_BREAK : '\n')
  if (lines.at(-1) === '') lines.pop()
  if (first === 1 && lines[0]?.charCodeAt(0) === 0xfeff) lines[0] = lines[0].slice(1)
  return { lines, first }
}

/** The bytes up to the last line break. A CR at the very end may be half of a CRLF, so it is no end yet. */
function lastLineEnd(piece: Buffer): number {
  const carriage = piece.lastIndexOf(13)
  if (carriage < piece.length - 1) return Math.max(piece.lastIndexOf(10), carriage) + 1
  const before = piece.subarray(0, Math.max(0, carriage))
  return Math.max(piece.lastIndexOf(10), before.lastIndexOf(13)) + 1
}

/**
 * Splits bytes into lines at LF, CRLF or CR, as Python's text files do, without a byte order mark. A line may be as long as a string can be, and costs
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
    const end = lastLineEnd(piece)
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
