import { mkdtempSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { firstExample } from './examples.mjs'

const readme = (text) => {
  const path = join(mkdtempSync(join(tmpdir(), 'readme-')), 'README.md')
  writeFileSync(path, text)
  return path
}

it('takes the first block of JavaScript or TypeScript that imports something', () => {
  const path = readme(
    '```sh\nnpm i\n```\n\n```js no-run\nimport "a"\n```\n\n```ts\nimport { x } from "b"\nconst y: number = x\n```\n',
  )
  expect(firstExample(path)).toBe('import { x } from "b";\nconst y = x;\n')
})

it('finds none where there is none', () => {
  expect(firstExample(readme('```js\nlet x\n```\n'))).toBeUndefined()
  expect(firstExample('/no/such/README.md')).toBeUndefined()
})
