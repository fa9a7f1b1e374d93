import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { TunesmithError } from '@tunesmith/core'

/** Reads `folder/name`; undefined when there is no such file. */
export async function readBytes(folder: string, name: string): Promise<Buffer | undefined> {
  const path = join(folder, name)
  try {
    return await readFile(path)
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'ENOENT' || code === 'ENOTDIR') return undefined
    throw new TunesmithError(`Could not read: ${(error as Error).message}`, { code: 'io', where: path, cause: error })
  }
}

/** {@link readBytes} as text. */
export const readText = async (folder: string, name: string) => (await readBytes(folder, name))?.toString()

/** Reads `folder/name` as a JSON object; undefined when there is no such file. */
export async function readJson(folder: string, name: string): Promise<Record<string, unknown> | undefined> {
  const text = await readText(folder, name)
  return text === undefined ? undefined : parseJsonObject(text, join(folder, name))
}

/** Parses a JSON object, or says which file is broken. */
export function parseJsonObject(text: string, where: string): Record<string, unknown> {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (error) {
    throw new TunesmithError(`Not valid JSON: ${(error as Error).message}`, {
      code: 'invalid_file',
      where,
      remedy: 'Download or write the file again; it is probably cut short',
      cause: error,
    })
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new TunesmithError('Expected a JSON object', { code: 'invalid_file', where })
  return value as Record<string, unknown>
}
