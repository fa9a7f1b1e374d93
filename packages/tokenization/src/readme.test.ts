import { readFileSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test, vi } from 'vitest'
import * as tokenization from './index'

test('the examples in the README run', async () => {
  const readme = readFileSync(new URL('../README.md', import.meta.url), 'utf8')
  const [tiny, code] = [...readme.matchAll(/```ts(?: no-run)?\n([\s\S]*?)```/g)].map((match) => match[1]!)
  const folder = await mkdtemp(join(tmpdir(), 'readme-'))
  await writeFile(
    join(folder, 'tokenizer.json'),
    readFileSync(new URL('./fixtures/bytes.tokenizer.json', import.meta.url)),
  )
  await writeFile(join(folder, 'tokenizer_config.json'), '{"bos_token": "<s>", "eos_token": "</s>"}')
  await writeFile(join(folder, 'chat_template.jinja'), tokenization.chatTemplates.vicuna)
  const bodyOf = (text: string) =>
    text
      .replace(/import (\{[^}]*\}) from '@tunesmith\/tokenization'/, 'const $1 = tokenization')
      .replace("'HuggingFaceTB/SmolLM2-135M-Instruct'", 'folder')
  const log = vi.spyOn(console, 'log').mockImplementation(() => undefined)
  const AsyncFunction = (async () => undefined).constructor as new (
    ...args: string[]
  ) => (...args: unknown[]) => Promise<unknown>
  await new AsyncFunction('tokenization', bodyOf(tiny!))(tokenization)
  expect(log.mock.calls).toEqual([[[2, 1, 0, 3]]])
  const run = new AsyncFunction('tokenization', 'folder', `${bodyOf(code!)}\nreturn { ids, offsets, inputIds, labels }`)
  const out = (await run(tokenization, folder)) as Record<string, number[]>
  expect(out.offsets).toHaveLength(out.ids!.length)
  expect(out.labels!.filter((label) => label !== -100).length).toBeGreaterThan(3)
  expect(log.mock.calls.flat().join('')).toContain('trained')
  log.mockRestore()
  await rm(folder, { recursive: true })
})
