import { randomBytes } from 'node:crypto'
import { constants, existsSync } from 'node:fs'
import { type FileHandle, open, readdir, rename, rm } from 'node:fs/promises'
import { basename, dirname, join, resolve } from 'node:path'
import { fileError } from './file-error'
import { makeFolder } from './make-folder'

/** A rename is durable only once its folder is on disk too; file systems that cannot sync a folder are left alone. */
async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, constants.O_RDONLY).catch(() => undefined)
  await folder?.sync().catch(() => undefined)
  await folder?.close()
}

/**
 * Writes a file so that a reader, or a crash, sees the old content or the new, never a part.
 *
 * @param content the whole content, or a function that writes it to the open temporary file.
 * @throws {TunesmithError} `io`; the temporary file is removed and an existing file is untouched.
 */
export async function writeFileAtomic(
  path: string,
  content: string | Uint8Array | ((file: FileHandle) => Promise<void>),
): Promise<void> {
  const temporary = join(dirname(path), `.${basename(path)}.${randomBytes(6).toString('hex')}.tmp`)
  try {
    await makeFolder(dirname(path))
    const file = await open(temporary, 'wx')
    try {
      if (typeof content === 'function') await content(file)
      else await file.writeFile(content)
      await file.sync()
    } finally {
      await file.close()
    }
    await rename(temporary, path)
    await syncFolder(dirname(path))
  } catch (error) {
    await rm(temporary, { force: true }).catch(() => undefined)
    throw fileError(error, path, 'write')
  }
}

/** What a process that died in {@link writeFolderAtomic} leaves beside the folder of this name. */
const LEFT = /^\.(.+)\.[^.]+\.tmp(\.old)?$/

/**
 * Clears away what processes that died in {@link writeFolderAtomic} left in a folder. A folder that was moved aside and not yet
 * replaced goes back to its place.
 *
 * @param names only leftovers of folders of these names.
 * @returns the names of what was removed.
 */
export async function recoverFolders(parent: string, names: RegExp): Promise<string[]> {
  const left = (await readdir(parent).catch(() => [])).filter((name) => names.test(LEFT.exec(name)?.[1] ?? ''))
  const removed: string[] = []
  // Those moved aside come first, while their place is free.
  for (const name of left.sort((a, b) => Number(b.endsWith('.old')) - Number(a.endsWith('.old')))) {
    const [, own, old] = LEFT.exec(name)!
    const place = join(parent, own!)
    if (old && !existsSync(place)) await rename(join(parent, name), place)
    else {
      await rm(join(parent, name), { recursive: true, force: true })
      removed.push(name)
    }
  }
  return removed
}

/**
 * Fills a new folder under a temporary name and renames it into place; an existing folder of that name is replaced.
 *
 * @param fill writes the files into the temporary folder it is given.
 * @throws {TunesmithError} `io`; the temporary folder is removed and an existing folder is untouched.
 */
export async function writeFolderAtomic<Result>(
  path: string,
  fill: (temporary: string) => Promise<Result>,
): Promise<Result> {
  const place = resolve(path)
  const temporary = join(dirname(place), `.${basename(place)}.${randomBytes(6).toString('hex')}.tmp`)
  const replaced = `${temporary}.old`
  try {
    await makeFolder(temporary)
    const result = await fill(temporary)
    await syncFolder(temporary)
    const moved = await rename(place, replaced).then(
      () => true,
      (error: NodeJS.ErrnoException) => {
        if (error.code === 'ENOENT') return false
        throw error
      },
    )
    await rename(temporary, place).catch(async (error: unknown) => {
      if (moved) await rename(replaced, place)
      throw error
    })
    await syncFolder(dirname(place))
    await rm(replaced, { recursive: true, force: true })
    return result
  } catch (error) {
    await rm(temporary, { recursive: true, force: true }).catch(() => undefined)
    throw fileError(error, path, 'write')
  }
}
