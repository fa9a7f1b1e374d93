/** The example apps: folders under examples/ whose package.json names a notebook, `"notebook": "src/NAME.ts"`. */
import { createHash } from 'node:crypto'
import { basename, join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { StepError } from '../step.mjs'
import { root, workspacePackages } from '../workspace.mjs'

export function examples() {
  return workspacePackages()
    .filter(({ manifest }) => manifest.notebook)
    .map(({ path, manifest }) => ({
      name: basename(path),
      folder: path,
      /** The script, and the page rendered from it. */
      script: join(path, manifest.notebook),
      page: join(path, `${basename(path)}.html`),
    }))
}

/** The example of this name, or in this folder. */
export function findExample(nameOrFolder) {
  const all = examples()
  const name = nameOrFolder && basename(nameOrFolder.replace(/\/+$/, ''))
  const found = all.find((example) => example.name === name)
  if (found) return found
  const names = all.map((example) => example.name).join(', ')
  throw new StepError(`${name ? `there is no example "${name}"` : 'which example?'} There are: ${names}`)
}

/** The program and arguments that run an example with the built packages. */
export function exampleCommand({ script }, options) {
  const recorder = pathToFileURL(join(root, 'packages/tooling/lib/notebook/recorder.mjs')).href
  const tsx = import.meta.resolve('tsx')
  return [process.execPath, ['--import', recorder, '--import', tsx, script, ...options]]
}

/** Names the exact script a page was rendered from. */
export const sourceHash = (source) => createHash('sha256').update(source).digest('hex')
