import { readFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import * as retrieval from './index'

it('prints what the README says', async () => {
  const readme = readFileSync(new URL('../README.md', import.meta.url), 'utf8')
  const folder = await mkdtemp(join(tmpdir(), 'tunesmith-readme-'))
  const code = /```js\n([\s\S]*?)```/.exec(readme)?.[1] ?? ''
  const body = code
    .replace(/import (\{[^}]*\}) from '@tunesmith\/retrieval'/, 'const $1 = retrieval')
    .replace("'my-index'", JSON.stringify(join(folder, 'my-index')))
  const printed: string[] = []
  const log = (...values: unknown[]) =>
    printed.push(values.map((value) => (Array.isArray(value) ? JSON.stringify(value) : value)).join(' '))
  const AsyncFunction = (async () => undefined).constructor as new (
    ...parts: string[]
  ) => (...values: unknown[]) => Promise<void>
  await new AsyncFunction('retrieval', 'console', body)(retrieval, { log })
  expect(printed).toEqual([
    '[1] a\nMetformin lowers glucose in type 2 diabetes.\n\nQuestion: What lowers glucose?',
    '[] 1',
  ])
  await rm(folder, { recursive: true })
})
