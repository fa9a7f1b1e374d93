import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { fileCircles } from './file-circles.mjs'

let folder
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'circles-'))
})
afterEach(() => rmSync(folder, { recursive: true }))

const write = (files) => {
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, name)), { recursive: true })
    writeFileSync(join(folder, name), text)
  }
}

describe('fileCircles', () => {
  it('finds circles of values, of types, through index files and through exports', () => {
    write({
      'a.ts': "import { b } from './b'\nexport const a = b",
      'b.ts': "import type { C } from './parts'\nexport const b = 1 as C",
      'parts/index.ts': "export * from './c'",
      'parts/c.ts': "import { a } from '../a'\nexport type C = typeof a",
    })
    expect(fileCircles(folder).map((circle) => circle.toSorted())).toEqual([
      ['a.ts', 'b.ts', 'parts/c.ts', 'parts/index.ts'],
    ])
  })

  it('lets tests and fixtures import what they like, and comments say what they like', () => {
    write({
      'a.ts': "// import { b } from './b'\nexport const a = 1",
      'b.ts': "import { a } from './a'\nexport const b = a",
      'a.test.ts': "import { b } from './b'",
      'fixtures/f.ts': "import { g } from './g'\nexport const f = g",
      'fixtures/g.ts': "import { f } from './f'\nexport const g = f",
    })
    expect(fileCircles(folder)).toEqual([])
  })

  it('has nothing to say of a package without sources', () => {
    expect(fileCircles(join(folder, 'none'))).toEqual([])
  })
})
