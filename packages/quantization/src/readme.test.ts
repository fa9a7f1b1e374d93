import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import * as quantization from './index'

test('the example of the README prints what it says', async () => {
  const readme = readFileSync(new URL('../README.md', import.meta.url), 'utf8')
  const code = /```js\n([\s\S]*?)```/.exec(readme)![1]!
  const body = code.replace(/import (\{[^}]*\}) from '@tunesmith\/quantization'/, 'const $1 = quantization')
  const expected = [...code.matchAll(/console\.log\(.*\) \/\/ (.*)/g)].map((match) => match[1])
  const printed: string[] = []
  const AsyncFunction = (async () => undefined).constructor as new (
    ...code: string[]
  ) => (...values: unknown[]) => unknown
  const log = (...values: unknown[]) => printed.push(values.join(' '))
  await new AsyncFunction('quantization', 'console', body)(quantization, { log })
  expect(expected).toHaveLength(5)
  expect(printed).toEqual(expected)
})
