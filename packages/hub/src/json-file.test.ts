import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { readJsonFile } from './json-file'

let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tunesmith-json-'))
})
afterAll(() => rm(folder, { recursive: true, force: true }))

it('reads JSON with and without a byte order mark', async () => {
  const path = join(folder, 'a.json')
  await writeFile(path, '\ufeff{"ä": [1]}')
  expect(await readJsonFile(path)).toEqual({ ä: [1] })
})

it.each([
  ['{"a": 1,\n "b" 2}', 'invalid_file', /Not valid JSON.*\.json:2:6/s],
  ['', 'invalid_file', /The file is empty/],
  [Buffer.from([0x22, 0xff, 0x22]), 'invalid_file', /not UTF-8/],
] as const)('explains what is wrong with %j', async (content, code, message) => {
  const path = join(folder, 'b.json')
  await writeFile(path, content)
  await expect(readJsonFile(path)).rejects.toMatchObject({ code, message: expect.stringMatching(message) })
})

it('explains a file that is not there, and a folder', async () => {
  await expect(readJsonFile(join(folder, 'none.json'))).rejects.toMatchObject({ code: 'not_found' })
  await expect(readJsonFile(folder)).rejects.toMatchObject({ code: 'invalid_file' })
})
