import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterEach, describe, expect, it } from 'vitest'
import { checkLevels } from './levels.mjs'

const table = {
  levels: [['core'], ['low', 'beside'], ['pure'], ['high', 'tower']],
  sideways: { tower: ['high'] },
  roof: ['examples/*'],
  tensorFree: ['pure'],
  tensorLibraries: ['@tensor/', 'low'],
}

const trees = []
afterEach(() => {
  for (const tree of trees.splice(0)) rmSync(tree, { recursive: true })
})

/** A workspace in a temp folder: package name -> { dependencies..., files: { path: text } }. */
function workspace(packages) {
  const tree = mkdtempSync(join(tmpdir(), 'levels-'))
  trees.push(tree)
  const write = (path, text) => {
    mkdirSync(dirname(join(tree, path)), { recursive: true })
    writeFileSync(join(tree, path), text)
  }
  write('pnpm-workspace.yaml', 'packages:\n  - packages/*\n  - examples/*\n\nother:\n  - nothing/*\n')
  write('package.json', JSON.stringify({ devDependencies: { vitest: '*' } }))
  for (const [name, { files = {}, folder = `packages/${name}`, ...manifest }] of Object.entries(packages)) {
    write(`${folder}/package.json`, JSON.stringify({ name, files: ['src'], ...manifest }))
    for (const [path, text] of Object.entries(files)) write(`${folder}/${path}`, text)
  }
  return tree
}

const check = (packages) => checkLevels(workspace(packages), { levels: table })

const core = { files: { 'src/index.ts': 'export const one = 1' } }
const uses = (...names) => ({ dependencies: Object.fromEntries(names.map((name) => [name, 'workspace:*'])) })

describe('a house that stands', () => {
  it('lets imports point down, in every form', () => {
    const text = `
      import { one } from 'core'
      import type { Two } from 'core/sub'
      export * from 'core'
      import fs from 'node:fs'
      import path from 'path'
      const later = () => import('core')
      type Three = import('core').Three
      // import 'high' in a comment, and in a string: "import('high')"
      const text = "from 'high'"`
    expect(check({ core, high: { ...uses('core'), files: { 'src/index.ts': text } } })).toEqual([])
  })

  it('allows the listed exception sideways, and everything on the roof', () => {
    const files = { 'src/index.ts': "import 'high'" }
    expect(
      check({
        high: core,
        tower: { ...uses('high'), files },
        demo: { ...uses('high', 'tower', 'other'), folder: 'examples/demo', files, private: true },
        other: { folder: 'examples/other' },
      }),
    ).toEqual([])
  })

  it('lets tests, and files that are not published, use devDependencies and tools of the root', () => {
    const files = {
      'src/a.test.ts': "import 'vitest'; import 'core'; import 'wasm-maker'",
      'scripts/make.mjs': "import 'wasm-maker'",
    }
    expect(check({ core, low: { devDependencies: { core: 'workspace:*', 'wasm-maker': '1' }, files } })).toEqual([])
  })
})

describe('an import up the levels', () => {
  it.each([
    ['a static import', "import { x } from 'high'"],
    ['a type import', "import type { X } from 'high'"],
    ['a re-export', "export { x } from 'high/sub'"],
    ['a dynamic import', "const f = async () => (await import('high')).x"],
    ['an import type', "let x: import('high').X"],
    ['require', "const x = require('high')"],
    ['import.meta.resolve', "import.meta.resolve('high')"],
    ['a path into its folder', "import { x } from '../../high/src/index'"],
  ])('fails as %s', (_, text) => {
    const problems = check({ high: core, low: { files: { 'src/deep.ts': `\n${text}` } } })
    expect(problems[0]).toBe('packages/low/src/deep.ts:2: low may not use high, which is on a higher level')
  })

  it('fails as a declared dependency that nothing imports, also for development', () => {
    const expected = ['packages/low/package.json: low may not use high, which is on a higher level']
    expect(check({ high: core, low: uses('high') })).toEqual(expected)
    expect(check({ high: core, low: { devDependencies: { high: 'workspace:*' } } })).toEqual(expected)
  })

  it('fails onto the roof', () => {
    expect(check({ demo: { folder: 'examples/demo' }, high: uses('demo') })).toHaveLength(1)
  })
})

it('fails when published code imports test code, or reaches into a neighbour by path', () => {
  const text = "import './testing/reference'\nimport './a.test'\nimport '../../core/src/index'"
  const files = { 'src/index.ts': text, 'src/testing/reference.ts': "import 'vitest'" }
  expect(check({ core, low: { ...uses('core'), files } })).toEqual([
    'packages/low/src/index.ts:1: "./testing/reference" is test code, which is not for users',
    'packages/low/src/index.ts:2: "./a.test" is test code, which is not for users',
    'packages/low/src/index.ts:3: "../../core/src/index" reaches into core; import it by its name',
  ])
})

it('fails sideways', () => {
  expect(check({ low: core, beside: { ...uses('low'), files: { 'src/index.ts': "import 'low'" } } })).toEqual([
    'packages/beside/package.json: beside may not use low, which is on the same level',
    'packages/beside/src/index.ts:1: beside may not use low, which is on the same level',
  ])
})

it('fails in a circle, naming it', () => {
  expect(check({ high: uses('tower'), tower: uses('high') })).toContain(
    'packages import each other in a circle: high -> tower -> high',
  )
})

it('fails when the import is not declared, or declared for development only', () => {
  const files = { 'src/index.ts': "import 'core'\nimport 'zod'" }
  expect(check({ core, low: { files, devDependencies: { zod: '4' } } })).toEqual([
    'packages/low/src/index.ts:1: core is not in the dependencies of low',
    'packages/low/src/index.ts:2: zod is not in the dependencies (only in devDependencies) of low',
  ])
})

it('fails for a package without a level', () => {
  expect(check({ newcomer: {} })).toEqual([
    'packages/newcomer/package.json: newcomer has no level; add it to packages/tooling/levels.json',
  ])
})

it('fails when a tensor library can be reached from a tensor-free package', () => {
  expect(check({ pure: { dependencies: { '@tensor/core': '1' } } })).toEqual([
    'pure must stay free of tensors, but pure -> @tensor/core',
  ])
  expect(check({ low: core, pure: uses('low') })).toEqual(['pure must stay free of tensors, but pure -> low'])
})
