/**
 * The rule of the house: imports point down the levels of levels.json, never up, never sideways (but for the exceptions
 * listed there), never in a circle of packages or of a package's files, and only to what the package.json declares.
 */
import { readdirSync, readFileSync } from 'node:fs'
import { isBuiltin } from 'node:module'
import { dirname, join, relative, resolve, sep } from 'node:path'
import { findCycles } from './cycles.mjs'
import { fileCircles } from './file-circles.mjs'
import { importsOf } from './imports.mjs'
import { readJson, runtimeDependencies, workspacePackages } from './workspace.mjs'

const sourceFile = /\.[cm]?[jt]sx?$/
const skippedFolder = new Set(['node_modules', 'dist', 'build', 'fixtures', 'coverage', 'runs'])

const testCode = /\.(test|bench)\.[cm]?[jt]sx?$|(^|\/)testing\//

/** Whether a file (its path inside the package) is not for users: it may use devDependencies and the root's tools. */
function isDevelopmentFile(path, manifest) {
  if (manifest.private || testCode.test(path)) return true
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

/** Where the names of levels.json stand: 0 at the bottom, Infinity on the roof, -1 for a package nobody placed. */
function levelsOf(packages, { levels, roof }) {
  const onRoof = (path) =>
    roof.some((pattern) => (pattern.endsWith('/*') ? path.startsWith(pattern.slice(0, -1)) : path === pattern))
  return new Map(
    packages.map(({ name, folder }) => {
      const level = levels.findIndex((names) => names.includes(name))
      return [name, onRoof(folder) ? Number.POSITIVE_INFINITY : level]
    }),
  )
}

/** What one package imports: `{ where, specifier, target, relative, testCode, development }` per import of a package. */
function* importsOfPackage(entry, folder, packages) {
  for (const file of sourceFiles(entry.path)) {
    const inPackage = relative(entry.path, file).split(sep).join('/')
    const development = isDevelopmentFile(inPackage, entry.manifest)
    for (const { specifier, line } of importsOf(file, readFileSync(file, 'utf8'))) {
      const where = `${relative(folder, file).split(sep).join('/')}:${line}`
      if (/^\.\.?(\/|$)/.test(specifier)) {
        const path = resolve(dirname(file), specifier)
        const target = ownerOf(path, packages)
        const intoTests =
          target === entry.name && testCode.test(`${relative(entry.path, path).split(sep).join('/')}.ts`)
        if (target) yield { where, specifier, target, relative: true, intoTests, development }
      } else if (!/^[/#]|^[a-z]+:/.test(specifier) && !isBuiltin(specifier))
        yield { where, specifier, target: packageNameOf(specifier), relative: false, development }
    }
  }
}

/**
 * Check the workspace in `folder`.
 *
 * @param options `levels`: the table (default: the folder's packages/tooling/levels.json)
 * @returns {string[]} one line per violation, empty when the house stands
 */
export function checkLevels(folder, { levels = readJson(join(folder, 'packages/tooling/levels.json')) } = {}) {
  const packages = workspacePackages(folder)
  const level = levelsOf(packages, levels)
  const rootTools = Object.keys(readJson(join(folder, 'package.json')).devDependencies ?? {})
  const edges = new Map(packages.map((entry) => [entry.name, new Set()]))
  const problems = new Set()

  const checkEdge = (from, to, where) => {
    if (from === to || !level.has(to)) return
    edges.get(from).add(to)
    const [a, b] = [level.get(from), level.get(to)]
    const bothOnRoof = a === b && a === Number.POSITIVE_INFINITY
    if (a === -1 || b === -1 || b < a || bothOnRoof || levels.sideways[from]?.includes(to)) return
    const place = b === a ? 'on the same level' : 'on a higher level'
    problems.add(`${where}: ${from} may not use ${to}, which is ${place}`)
  }

  for (const entry of packages) {
    const { name, manifest } = entry
    if (level.get(name) === -1)
      problems.add(`${entry.folder}/package.json: ${name} has no level; add it to packages/tooling/levels.json`)
    const shipped = runtimeDependencies(manifest)
    const declared = [...shipped, ...Object.keys(manifest.devDependencies ?? {})]
    for (const to of declared) checkEdge(name, to, `${entry.folder}/package.json`)

    for (const { where, specifier, target, relative, intoTests, development } of importsOfPackage(
      entry,
      folder,
      packages,
    )) {
      checkEdge(name, target, where)
      const allowed = development ? [...declared, ...rootTools] : shipped
      if (intoTests && !development) problems.add(`${where}: "${specifier}" is test code, which is not for users`)
      // The roof and the repository's own scripts must run before anything is installed, when no name resolves yet.
      if (relative && target !== name && !development)
        problems.add(`${where}: "${specifier}" reaches into ${target}; import it by its name`)
      if (relative || target === name || allowed.includes(target)) continue
      const list = declared.includes(target) ? 'dependencies (only in devDependencies)' : 'dependencies'
      problems.add(`${where}: ${target} is not in the ${list} of ${name}`)
    }
  }

  for (const { folder: place, path } of packages)
    for (const cycle of fileCircles(join(path, 'src')))
      problems.add(`${place}/src: files import each other in a circle: ${[...cycle, cycle[0]].join(' -> ')}`)
  for (const cycle of findCycles(edges))
    problems.add(`packages import each other in a circle: ${[...cycle, cycle[0]].join(' -> ')}`)
  return [...problems, ...tensorProblems(packages, edges, levels)]
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
      const used = new Set([...runtimeDependencies(entry.manifest), ...edges.get(name)])
      for (const next of used) visit(next, [...trail, name])
    }
    visit(start, [])
  }
  return problems
}
