import { readFile } from 'node:fs/promises'
import { fileError, invalidFile, parseJson, statRegularFile } from '@tunesmith/core'

/** More than any configuration or tokenizer has. */
const MAX_JSON_BYTES = 400_000_000

/** A file's bytes; a larger file is refused before it is read. */
export async function readFileUpTo(path: string, mostBytes: number): Promise<Uint8Array> {
  try {
    const { size } = await statRegularFile(path)
    if (size > mostBytes) throw invalidFile(`The file has ${size} bytes, more than ${mostBytes}`, { where: path })
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
    throw invalidFile('The file is not UTF-8 text', { where: path, cause: error })
  }
  return parseJson<Value>(text, path)
}
