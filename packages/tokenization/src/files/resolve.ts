import { stat } from 'node:fs/promises'
import { TunesmithError } from '@tunesmith/core'

/** The folder a path or Hub id stands for. */
export async function resolveFolder(idOrFolder: string, _revision: string | undefined): Promise<string> {
  const found = await stat(idOrFolder).catch(() => undefined)
  if (found?.isDirectory()) return idOrFolder
  throw new TunesmithError(`There is no folder ${idOrFolder}`, { code: 'not_found', where: idOrFolder })
}
