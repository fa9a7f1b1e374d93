import { mkdir, stat } from 'node:fs/promises'
import { dirname } from 'node:path'

/**
 * Makes a folder and those around it that are missing; one that is there is left alone. In the place of
 * `mkdir(path, { recursive: true })`, which Node 20 never finishes where a file system has no folders to make, such as below /proc.
 *
 * @throws the error of the file system, of the outermost folder that cannot be made.
 */
export async function makeFolder(path: string): Promise<void> {
  try {
    await mkdir(path)
  } catch (error) {
    if (await isFolder(path)) return
    const parent = dirname(path)
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT' || parent === path) throw error
    // Another call or process may be faster with either folder.
    if (!(await isFolder(parent))) await makeFolder(parent)
    await mkdir(path).catch(async (again: unknown) => {
      if (!(await isFolder(path))) throw again
    })
  }
}

const isFolder = (path: string) =>
  stat(path).then(
    (found) => found.isDirectory(),
    () => false,
  )
