import { readFileSync } from 'node:fs'
import { expect, it } from 'vitest'
import * as metrics from './index'

it('prints what the README says', async () => {
  const readme = readFileSync(new URL('../README.md', import.meta.url), 'utf8')
  const code = /```js\n([\s\S]*?)```/.exec(readme)?.[1] ?? ''
  const body = code.replace(/import (\{[^}]*\}) from '@tunesmith\/eval-metrics'/, 'const $1 = metrics')
  const wanted = [...code.matchAll(/console\.log\(.*\) \/\/ (.*)/g)].map((match) => match[1])
  const printed: string[] = []
  const log = (...values: unknown[]) => printed.push(values.join(' '))
  const AsyncFunction = (async () => undefined).constructor as new (
    ...parts: string[]
  ) => (...values: unknown[]) => Promise<void>
  await new AsyncFunction('metrics', 'console', body)(metrics, { log })
  expect(wanted).toHaveLength(5)
  expect(printed).toEqual(wanted)
})
