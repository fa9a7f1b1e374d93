import { readdir, realpath, stat } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { invalidOptions } from './errors'
import { failAs } from './file-error'
import { writeFolderAtomic } from './files'

export interface OutputFolderOptions {
  /** Replaces a folder that has something in it. Default false. */
  overwrite?: boolean | undefined
  /** Folders and files that the output is made from: never replaced. Names that are not on the disk are passed over. */
  sources?: readonly string[]
  /** The files and folders that are written, where the rest of the folder stays. Default: all of it is replaced. */
  only?: (name: string) => boolean
  /** What else may be done about a folder with something in it, for the message. */
  remedy?: string
}

/** Whether two paths lead to one file or folder, whatever they are called. */
export async function samePlace(one: string, other: string): Promise<boolean> {
  const place = await identity(one)
  return place !== undefined && place === (await identity(other))
}

/** Which file or folder a path leads to; undefined when nothing is there. */
async function identity(path: string): Promise<string | undefined> {
  const stats = await stat(path, { bigint: true }).catch(() => undefined)
  return stats && `${stats.dev}:${stats.ino}`
}

/** The path as it is written and as it is behind links, and where the links in a folder lead: weights often are elsewhere. */
async function placesOf(source: string): Promise<string[]> {
  const real = await realpath(source).catch(() => undefined)
  if (real === undefined) return []
  const entries = await readdir(real, { withFileTypes: true }).catch(() => [])
  const links = entries.filter((entry) => entry.isSymbolicLink()).map(({ name }) => realpath(join(real, name)))
  const ends = await Promise.all(links.map((link) => link.catch(() => undefined)))
  return [resolve(source), real, ...ends.filter((end) => end !== undefined)]
}

/**
 * Refuses a path whose replacement would take a source away: the source itself or a folder around it, by any name.
 *
 * @throws {TunesmithError} `invalid_options`.
 */
export async function refuseSources(path: string, sources: readonly string[]): Promise<void> {
  const target = await identity(path)
  if (target === undefined) return
  for (const source of sources)
    for (const place of await placesOf(source))
      for (let part = place; ; part = dirname(part)) {
        if ((await identity(part)) === target)
          throw invalidOptions(
            part === place ? `This is what is read: ${source}` : `This is a folder around what is read: ${source}`,
            { where: path, remedy: 'Choose another place for the output; what it is made from is kept' },
          )
        if (dirname(part) === part) break
      }
}

/**
 * Whether an output may go to a folder; asked before the work is done. The folder may be new or empty.
 *
 * @throws {TunesmithError} `invalid_options` when it would replace a source, or something else without `overwrite`.
 */
export async function checkOutputFolder(
  path: string,
  { overwrite = false, sources = [], only, remedy }: OutputFolderOptions,
): Promise<void> {
  await refuseSources(path, sources)
  const stats = await stat(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT') failAs(path, 'write the folder')(error)
  })
  if (!stats) return
  if (!stats.isDirectory())
    throw invalidOptions('There is a file of this name, and the output is a folder', {
      where: path,
      remedy: 'Choose another name',
    })
  const above = await stat(dirname(await realpath(path)))
  if (!only && above.dev !== stats.dev)
    throw invalidOptions('A disk is mounted on this folder, so it cannot be replaced as a whole', {
      where: path,
      remedy: `Name a folder in it, like ${join(path, 'model')}`,
    })
  if (overwrite) return
  const found = (await readdir(path).catch(failAs(path, 'read the folder'))).filter((name) => only?.(name) ?? true)
  if (found.length > 0)
    throw invalidOptions(`The folder has something in it already: ${found.slice(0, 3).join(', ')}`, {
      where: path,
      remedy: `Choose another folder, ${remedy ? `${remedy}, ` : ''}or replace what is there with --overwrite (overwrite: true)`,
    })
}

/**
 * Fills an output folder under a temporary name and moves it into place when it is whole; until then, what was there stays.
 *
 * @throws {TunesmithError} what {@link checkOutputFolder} throws, and `io`.
 */
export async function writeOutputFolder<Result>(
  path: string,
  options: OutputFolderOptions,
  fill: (temporary: string) => Promise<Result>,
): Promise<Result> {
  await checkOutputFolder(path, options)
  return writeFolderAtomic(await realpath(path).catch(() => path), fill)
}
