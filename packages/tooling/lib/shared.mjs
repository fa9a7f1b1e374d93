/** Where tests find the goldens and data that are kept beside the repository and are not ours to publish. */
import { existsSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const besideRepository = join(dirname(fileURLToPath(import.meta.url)), '..', '..', '..', '..', 'shared')

/**
 * The path of a file or folder under the shared folder (`TUNESMITH_SHARED`, or `shared/` beside the repository).
 * Undefined, with the reason printed once, where it is absent: the test then skips.
 */
export function sharedPath(name) {
  const path = join(process.env.TUNESMITH_SHARED ?? besideRepository, name)
  if (existsSync(path)) return path
  console.warn(`skipped: ${name} is not there; set TUNESMITH_SHARED to the folder that holds it`)
  return undefined
}
