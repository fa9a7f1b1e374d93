import { existsSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

/** The folder of reference data beside the repository (or TUNESMITH_SHARED), when it is there. */
export function sharedFolder(...path: string[]): string | undefined {
  let folder = dirname(fileURLToPath(import.meta.url))
  while (!existsSync(join(folder, 'pnpm-workspace.yaml')) && dirname(folder) !== folder) folder = dirname(folder)
  const shared = join(process.env.TUNESMITH_SHARED ?? join(folder, '..', 'shared'), ...path)
  if (existsSync(shared)) return shared
  console.log(`skipped: there is no ${shared}`)
  return undefined
}
