import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileError, isTunesmithError, parseJsonObject, statRegularFile } from '@tunesmith/core'

/** Reads `folder/name`; undefined when there is no such file. */
export async function readBytes(folder: string, name: string): Promise<Buffer | undefined> {
  const path = join(folder, name)
  try {
    await statRegularFile(path)
    return await readFile(path)
  } catch (error) {
    if (isTunesmithError(error) && error.code === 'not_found') return undefined
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
