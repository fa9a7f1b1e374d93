import * as fs from 'node:fs/promises'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it, vi } from 'vitest'
import * as datasets from './index'

it('does in the README what the README says', async () => {
  const readme = await readFile(new URL('../README.md', import.meta.url), 'utf8')
  const [, code] = /```js\n([\s\S]*?)```/.exec(readme)!
  const folder = await mkdtemp(join(tmpdir(), 'tunesmith-readme-'))
  const said: string[] = []
  const log = vi.spyOn(console, 'log').mockImplementation((...values) => void said.push(values.join(' ')))
  try {
    const body = code!
      .replace(/^import .*$/gm, '')
      .replaceAll("'herbs.jsonl'", JSON.stringify(join(folder, 'herbs.jsonl')))
    const exported = Object.entries(datasets)
    const AsyncFunction = (async () => undefined).constructor as FunctionConstructor
    const run = new AsyncFunction('writeFile', ...exported.map(([name]) => name), body)
    await run(fs.writeFile, ...exported.map(([, value]) => value))
  } finally {
    log.mockRestore()
    await rm(folder, { recursive: true, force: true })
  }
  // What the comments promise.
  expect(said[0]).toBe('6')
  expect(said[1]).toMatch(/^questionAnswer: prompt from "question".*: id$/)
  expect(said[2]).toBe('0 of 2 examples exceed 128 tokens')
  expect(said.at(-1)).toBe('1 true')
})
