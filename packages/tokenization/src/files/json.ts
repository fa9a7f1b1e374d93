import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileError, parseJsonObject } from '@tunesmith/core'

/** Reads `folder/name`; undefined when there is no such file. */
export async function readBytes(folder: string, name: string): Promise<Buffer | undefined> {
  const path = join(folder, name)
  try {
    return await readFile(path)
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'ENOENT' || code === 'ENOTDIR') return undefined
    throw fileError(error, path, 'read')
  }
}

/** {@link readBytes} as text. */
export const readText = async (folder: string, name: string) => (await readBytes(folder, name))?.toString()

/** Reads `folder/name` as a JSON object; undefined when there is no such file. */
export async function readJson(folder: string, name: string): Promise<Record<string, unknown> | undefined> {
  const text = await readText(folder, name)
  return text === undefined ? undefined : parseJsonObject(text, join(folder, name))
}
