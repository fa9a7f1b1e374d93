import { createReadStream } from 'node:fs'
import type { Readable } from 'node:stream'
import { createGunzip } from 'node:zlib'
import { fileError, invalidFile, statRegularFile, TunesmithError } from '@tunesmith/core'
import { unzstd } from './zstd'

const READ_SIZE = 1 << 20

/** The name without `.gz` or `.zst`, which say nothing about the rows inside. */
export function nameInside(name: string): string {
  return name.replace(/\.(gz|gzip|zst|zstd)$/i, '')
}

/** A failure of the file system or of a decompressor, as an error that names the file. */
export function readError(error: unknown, file: string): TunesmithError {
  const { message, syscall } = error as NodeJS.ErrnoException
  // Decompressors number their errors in ways of their own; those of the file system name the call that failed.
  if (error instanceof TunesmithError || syscall !== undefined || nameInside(file) === file)
    return fileError(error, file, 'read')
  return invalidFile(`The compressed data is damaged or cut short: ${message}`, {
    where: file,
    remedy: 'Copy or download the file again',
    cause: error,
  })
}

/**
 * The content of a file piece by piece, decompressed when its name ends in `.gz` or `.zst`.
 *
 * @param file what to call it in errors.
 * @throws {TunesmithError} `not_found`, `invalid_file` (damaged, cut short, or empty), `io`.
 */
export async function* readBytes(path: string, file = path): AsyncGenerator<Buffer> {
  await statRegularFile(path, file)
  const raw = createReadStream(path, { highWaterMark: READ_SIZE })
  let empty = true
  try {
    let source: AsyncIterable<Buffer> = raw
    if (/\.(gz|gzip)$/i.test(path)) source = gunzip(raw)
    else if (/\.(zst|zstd)$/i.test(path)) source = unzstd(raw)
    for await (const piece of source) {
      if (piece.length === 0) continue
      empty = false
      yield piece
    }
  } catch (error) {
    throw readError(error, file)
  } finally {
    raw.destroy()
  }
  if (empty)
    throw invalidFile('The file is empty', { where: file, remedy: 'Remove it from the sources, or write it again' })
}

function gunzip(raw: Readable): AsyncIterable<Buffer> {
  const gunzipper = createGunzip({ chunkSize: READ_SIZE })
  raw.on('error', (error) => gunzipper.destroy(error))
  return raw.pipe(gunzipper)
}
