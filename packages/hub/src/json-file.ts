import { readFile, stat } from 'node:fs/promises'
import { TunesmithError } from '@tunesmith/core'
import { fileError } from './file-error'

/** More than any configuration or tokenizer has. */
const MAX_JSON_BYTES = 400_000_000

/** A file's bytes; a larger file is refused before it is read. */
export async function readFileUpTo(path: string, mostBytes: number): Promise<Uint8Array> {
  try {
    const stats = await stat(path)
    if (stats.isFile() && stats.size > mostBytes)
      throw new TunesmithError(`The file has ${stats.size} bytes, more than ${mostBytes}`, {
        code: 'invalid_file',
        where: path,
      })
    return await readFile(path)
  } catch (error) {
    throw fileError(error, path, 'read')
  }
}

/**
 * Reads a JSON file (UTF-8, with or without a byte order mark).
 *
 * @returns the parsed value; check its form before trusting it.
 * @throws {TunesmithError} `not_found`, `io`, or `invalid_file` with the line and column of the fault.
 */
export async function readJsonFile<Value = unknown>(path: string): Promise<Value> {
  const bytes = await readFileUpTo(path, MAX_JSON_BYTES)
  let text: string
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  } catch (error) {
    throw new TunesmithError('The file is not UTF-8 text', { code: 'invalid_file', where: path, cause: error })
  }
  try {
    return JSON.parse(text) as Value
  } catch (error) {
    const empty = text.trim() === ''
    throw new TunesmithError(empty ? 'The file is empty' : `Not valid JSON: ${(error as Error).message}`, {
      code: 'invalid_file',
      where: `${path}${place(text, (error as Error).message)}`,
      remedy: 'Download or save the file again, or mend it in an editor',
      cause: error,
    })
  }
}

/** `:line:column` from the position in V8's message, when it gives one. */
function place(text: string, message: string): string {
  const position = /position (\d+)/.exec(message)?.[1]
  if (position === undefined) return ''
  const before = text.slice(0, Number(position)).split('\n')
  return `:${before.length}:${before.at(-1)!.length + 1}`
}
