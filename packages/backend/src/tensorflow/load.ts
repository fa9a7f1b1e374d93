import { createRequire } from 'node:module'
import { importOptional } from '../import-optional'
import { bindingPath, TFJS_NODE_PACKAGES } from './package'

const require = createRequire(import.meta.url)

/**
 * tfjs-node 4.22 calls `util.isNullOrUndefined`, which Node 23 removed. Putting it back is the only way in without
 * changing the package's files.
 */
function restoreIsNullOrUndefined(): void {
  const util = require('node:util') as { isNullOrUndefined?: (value: unknown) => boolean }
  util.isNullOrUndefined ??= (value) => value === null || value === undefined
}

/**
 * Loads `@tensorflow/tfjs-node-gpu` or `@tensorflow/tfjs-node`, which registers the backend `tensorflow`.
 *
 * @returns a line saying which package, and on what libtensorflow.
 * @throws when neither is installed, or its native part does not load; `tunesmith doctor` says why and mends it.
 */
export async function loadTensorFlow(): Promise<string> {
  restoreIsNullOrUndefined()
  // Its start-up notices go to standard error otherwise.
  process.env.TF_CPP_MIN_LOG_LEVEL ??= '2'
  const reasons: string[] = []
  for (const name of TFJS_NODE_PACKAGES)
    try {
      const version = require(bindingPath(name)!) as { TF_Version?: string }
      await importOptional(name)
      return `${name}, libtensorflow ${version.TF_Version ?? '?'}`
    } catch (error) {
      const reason = bindingPath(name) === undefined ? 'not installed' : (error as Error).message.split('\n')[0]
      reasons.push(`${name}: ${reason}`)
    }
  throw new Error(reasons.join('; '))
}
