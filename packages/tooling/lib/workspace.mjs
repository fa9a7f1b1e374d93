/** What is in the workspace: its root, its folders, its package.json files. Needs nothing installed. */
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'

/** The repository root. */
export const root = resolve(dirname(fileURLToPath(import.meta.url)), '../../..')

export const readJson = (path) => JSON.parse(readFileSync(path, 'utf8'))

/** The `packages:` list of pnpm-workspace.yaml; read by hand because a YAML parser is not installed yet. */
function workspacePatterns(folder) {
  const patterns = []
  let inside = false
  for (const line of readFileSync(join(folder, 'pnpm-workspace.yaml'), 'utf8').split('\n')) {
    if (/^\S/.test(line)) inside = line.startsWith('packages:')
    const item = inside && /^\s+-\s+["']?([^"'#\s]+)/.exec(line)
    if (item) patterns.push(item[1])
  }
  return patterns
}

/** Every workspace package except the root: `{ name, folder, path, manifest }`, sorted by folder (`packages/hub`). */
export function workspacePackages(folder = root) {
  const folders = workspacePatterns(folder).flatMap((pattern) => {
    if (!pattern.endsWith('/*')) return [pattern]
    const parent = join(folder, pattern.slice(0, -2))
    if (!existsSync(parent)) return []
    return readdirSync(parent, { withFileTypes: true })
      .filter((entry) => entry.isDirectory())
      .map((entry) => `${pattern.slice(0, -2)}/${entry.name}`)
  })
  return folders
    .filter((name) => existsSync(join(folder, name, 'package.json')))
    .sort()
    .map((name) => {
      const path = join(folder, name)
      const manifest = readJson(join(path, 'package.json'))
      return { name: manifest.name, folder: name, path, manifest }
    })
}

/** The names of what a package needs at run time. */
export const runtimeDependencies = ({ dependencies, optionalDependencies, peerDependencies }) =>
  Object.keys({ ...dependencies, ...optionalDependencies, ...peerDependencies })

/** All the packages that `name` needs at run time, itself included, by following workspace dependencies. */
export function runtimeClosure(name, packages = workspacePackages()) {
  const byName = new Map(packages.map((entry) => [entry.name, entry]))
  const seen = new Set()
  const visit = (current) => {
    if (seen.has(current) || !byName.has(current)) return
    seen.add(current)
    runtimeDependencies(byName.get(current).manifest).forEach(visit)
  }
  visit(name)
  return [...seen].map((each) => byName.get(each))
}
