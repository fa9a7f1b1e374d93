/**
 * The rule of the house: imports point down the levels of levels.json, never up, never sideways (but for the exceptions
 * listed there), never in a circle, and only to what the package.json declares.
 */
import { readdirSync, readFileSync } from 'node:fs'
import { isBuiltin } from 'node:module'
import { dirname, join, relative, resolve, sep } from 'node:path'
import { findCycles } from './cycles.mjs'
import { importsOf } from './imports.mjs'
import { readJson, workspacePackages } from './workspace.mjs'

const sourceFile = /\.[cm]?[jt]sx?$/
const skippedFolder = new Set(['node_modules', 'dist', 'build', 'fixtures', 'coverage', 'runs'])

/** Whether a file (its path inside the package) is not published: it may use devDependencies and the root's tools. */
function isDevelopmentFile(path, manifest) {
  if (manifest.private || /\.(test|bench)\.[cm]?[jt]sx?$/.test(path)) return true
  const published = (manifest.files ?? ['.']).filter((pattern) => !pattern.startsWith('!'))
  return !published.some((pattern) => pattern === '.' || path === pattern || path.startsWith(`${pattern}/`))
}

function* sourceFiles(folder) {
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name)
    if (entry.isDirectory()) {
      if (!skippedFolder.has(entry.name) && !entry.name.startsWith('.')) yield* sourceFiles(path)
    } else if (sourceFile.test(entry.name)) yield path
  }
}

const packageNameOf = (specifier) =>
  specifier
    .split('/')
    .slice(0, specifier.startsWith('@') ? 2 : 1)
    .join('/')

const bare = (specifier) => !/^[./#]|^[a-z]+:/.test(specifier) && !isBuiltin(specifier)

/**
 * Check the workspace in `folder`.
 *
 * @param options `levels`: the table (default: the folder's packages/tooling/levels.json)
 * @returns {string[]} one line per violation, empty when the house stands
 */
export function checkLevels(folder, { levels = readJson(join(folder, 'packages/tooling/levels.json')) } = {}) {
  const packages = workspacePackages(folder)
  const byName = new Map(packages.map((entry) => [entry.name, entry]))
  const rootTools = Object.keys(readJson(join(folder, 'package.json')).devDependencies ?? {})
  const problems = []
  const edges = new Map(packages.map((entry) => [entry.name, new Set()]))
  const levelOf = (name) => {
    const level = levels.levels.findIndex((names) => names.includes(name))
    const path = byName.get(name).folder
    const onRoof = levels.roof.some((pattern) =>
      pattern.endsWith('/*') ? path.startsWith(pattern.slice(0, -1)) : path === pattern,
    )
    return onRoof ? Number.POSITIVE_INFINITY : level
  }
  for (const entry of packages)
    if (levelOf(entry.name) === -1)
      problems.push(`${entry.folder}/package.json: ${entry.name} has no level; add it to packages/tooling/levels.json`)

  const checkEdge = (from, to, where) => {
    if (from === to) return
    edges.get(from).add(to)
    const [a, b] = [levelOf(from), levelOf(to)]
    if (a === -1 || b === -1 || b < a || (levels.sideways[from] ?? []).includes(to)) return
    problems.push(
      `${where}: ${from} may not use ${to}, which is ${b === a ? 'on the same level' : 'on a higher level'}`,
    )
  }

  for (const entry of packages) {
    const { dependencies, devDependencies, peerDependencies, optionalDependencies } = entry.manifest
    const shipped = { ...dependencies, ...peerDependencies, ...optionalDependencies }
    const declared = { ...devDependencies, ...shipped }
    for (const name of Object.keys(declared))
      if (byName.has(name)) checkEdge(entry.name, name, `${entry.folder}/package.json`)
    for (const file of sourceFiles(entry.path)) {
      const short = relative(folder, file).split(sep).join('/')
      const development = isDevelopmentFile(relative(entry.path, file).split(sep).join('/'), entry.manifest)
      const allowed = development
        ? { ...declared, ...Object.fromEntries(rootTools.map((name) => [name, '*'])) }
        : shipped
      for (const { specifier, line } of importsOf(file, readFileSync(file, 'utf8'))) {
        const where = `${short}:${line}`
        const name = /^\.\.?(\/|$)/.test(specifier)
          ? ownerOf(resolve(dirname(file), specifier), packages)
          : packageNameOf(specifier)
        if (name === undefined || (!bare(specifier) && !byName.has(name))) continue
        if (byName.has(name)) checkEdge(entry.name, name, where)
        // A path into a neighbour is how code on the roof and the tooling's own scripts run before anything is installed.
        if (bare(specifier) && name !== entry.name && !(name in allowed))
          problems.push(
            `${where}: ${name} is not in the ${name in declared ? 'dependencies (only in devDependencies)' : 'dependencies'} of ${entry.name}`,
          )
        else if (
          !bare(specifier) &&
          name !== entry.name &&
          levelOf(entry.name) !== Number.POSITIVE_INFINITY &&
          !development
        )
          problems.push(`${where}: "${specifier}" reaches into ${name}; import it by its name`)
      }
    }
  }

  for (const cycle of findCycles(edges))
    problems.push(`packages import each other in a circle: ${[...cycle, cycle[0]].join(' -> ')}`)
  return [...new Set([...problems, ...tensorProblems(packages, edges, levels)])]
}

/** The workspace package that a path lies in. */
const ownerOf = (path, packages) =>
  packages.find((entry) => path === entry.path || path.startsWith(entry.path + sep))?.name

/** Someone may install just ROUGE: no tensor library may be reachable from the packages listed as tensor-free. */
function tensorProblems(packages, edges, levels) {
  const byName = new Map(packages.map((entry) => [entry.name, entry]))
  const isTensorLibrary = (name) =>
    levels.tensorLibraries.some((each) => (each.endsWith('/') ? name.startsWith(each) : name === each))
  const problems = []
  for (const start of levels.tensorFree.filter((name) => byName.has(name))) {
    const seen = new Set()
    const visit = (name, trail) => {
      if (seen.has(name)) return
      seen.add(name)
      if (isTensorLibrary(name))
        problems.push(`${start} must stay free of tensors, but ${[...trail, name].join(' -> ')}`)
      const entry = byName.get(name)
      if (!entry || isTensorLibrary(name)) return
      const used = {
        ...entry.manifest.dependencies,
        ...entry.manifest.peerDependencies,
        ...entry.manifest.optionalDependencies,
      }
      for (const next of new Set([...Object.keys(used), ...edges.get(name)])) visit(next, [...trail, name])
    }
    visit(start, [])
  }
  return problems
}
