/** Files of a package that import each other in a circle: then none of them can be understood, or moved, alone. */
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join, relative, resolve, sep } from 'node:path'
import { findCycles } from './cycles.mjs'
import { importsOf } from './imports.mjs'

const source = /(?<!\.test|\.d)\.m?ts$/

/** The file that a relative import names, as TypeScript and bundlers resolve it. */
function fileOf(path) {
  const candidates = [path, `${path}.ts`, path.replace(/\.js$/, '.ts'), path.replace(/\.mjs$/, '.mts')]
  return [...candidates, join(path, 'index.ts')].find((each) => source.test(each) && existsSync(each))
}

/**
 * The circles among the source files of `folder`; imports of types count, because a reader follows them too.
 *
 * @returns {string[][]} each circle as the list of its files, relative to `folder`
 */
export function fileCircles(folder) {
  if (!existsSync(folder)) return []
  const files = readdirSync(folder, { recursive: true })
    .filter((name) => source.test(name) && !name.split(sep).includes('fixtures'))
    .map((name) => join(folder, name))
  const edges = new Map(
    files.map((file) => {
      const names = importsOf(file, readFileSync(file, 'utf8')).map(({ specifier }) => specifier)
      const local = names.filter((name) => name.startsWith('.')).map((name) => fileOf(resolve(dirname(file), name)))
      return [file, new Set(local.filter((target) => target !== undefined))]
    }),
  )
  return findCycles(edges).map((cycle) => cycle.map((file) => relative(folder, file).split(sep).join('/')))
}
