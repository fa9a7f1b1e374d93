import type { Stats } from 'node:fs'
import { stat } from 'node:fs/promises'
import { invalidFile } from './errors'
import { fileError } from './file-error'

const kinds = [
  ['isFIFO', 'a named pipe'],
  ['isSocket', 'a socket'],
  ['isCharacterDevice', 'a device'],
  ['isBlockDevice', 'a device'],
] as const

/** @throws {TunesmithError} `invalid_file` for what is no file: reading a pipe or a device may never end. */
export function needRegularFile(stats: Stats, name: string): void {
  if (stats.isFile()) return
  if (stats.isDirectory()) throw invalidFile('Could not read: This is a folder, not a file', { where: name })
  const kind = kinds.find(([is]) => stats[is]())?.[1] ?? 'something else'
  throw invalidFile(`This is ${kind}, not a file`, {
    where: name,
    remedy: 'Write what comes out of it to a file, and name that one',
  })
}

/**
 * The size and times of a file that is about to be read.
 *
 * @param name what to call it in errors. Default the path.
 * @throws {TunesmithError} `not_found`, `io`; `invalid_file` for folders, pipes, sockets and devices ({@link needRegularFile}).
 */
export async function statRegularFile(path: string, name = path): Promise<Stats> {
  const stats = await stat(path).catch((error: unknown) => {
    throw fileError(error, name, 'read')
  })
  needRegularFile(stats, name)
  return stats
}
