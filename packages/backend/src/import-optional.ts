import { existsSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join, resolve } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'

/** Where a package that is not a dependency of this one may be: beside it, or where the program runs. */
function requires(): NodeJS.Require[] {
  // Strict package managers hide the program's dependencies from us, so the program's own places are asked too; one of
  // `node -e` has no file.
  const folders = [dirname(fileURLToPath(import.meta.url)), process.cwd(), dirname(process.argv[1] ?? '')]
  return folders.map((folder) => createRequire(resolve(folder, 'package.json')))
}

/** The entry file of an optional package; undefined when it is not installed. */
export function resolveOptional(name: string): string | undefined {
  for (const require of requires())
    try {
      return require.resolve(name)
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'MODULE_NOT_FOUND') throw error
    }
  return undefined
}

/** The folder of an optional package; undefined when it is not installed. */
export function optionalPackageFolder(name: string): string | undefined {
  for (const require of requires())
    for (const folder of require.resolve.paths(name) ?? [])
      if (existsSync(join(folder, name, 'package.json'))) return join(folder, name)
  return undefined
}

/** Imports a package that is not a dependency of this one. @throws when it is not installed, or fails to load. */
export async function importOptional(name: string): Promise<unknown> {
  const path = resolveOptional(name)
  if (path === undefined) throw new Error(`${name} is not installed`)
  return import(pathToFileURL(path).href)
}
