import { existsSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'

/** The folder of shared data and goldens beside the repository, or `TUNESMITH_SHARED`. Tests that need it skip without it. */
export function sharedFolder(inside: string): { path: string; present: boolean; note: string } {
  let root = dirname(fileURLToPath(import.meta.url))
  while (!existsSync(join(root, 'pnpm-workspace.yaml')) && root !== dirname(root)) root = dirname(root)
  const path = join(process.env.TUNESMITH_SHARED ?? resolve(root, '../shared'), inside)
  const present = existsSync(path)
  if (!present) console.warn(`skipped: ${path} is not there; set TUNESMITH_SHARED to run these tests`)
  return { path, present, note: present ? '' : '(skipped: no shared folder)' }
}
