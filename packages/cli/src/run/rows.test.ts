import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it, vi } from 'vitest'
import { readFineTuneConfig } from './config'
import { loadConfigRows } from './rows'

let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tunesmith-rows-'))
})
afterAll(() => rm(folder, { recursive: true }))

async function rowsOf(rows: string, dataset: object) {
  const [file, path] = [join(folder, 'rows.jsonl'), join(folder, 'config.json')]
  await writeFile(file, rows)
  await writeFile(path, JSON.stringify({ model: './model', outputDir: 'out', dataset: { train: file, ...dataset } }))
  return (await loadConfigRows(await readFineTuneConfig(path))).train.toArray()
}

it('takes the side of preference rows that the config names', async () => {
  const rows = '{"prompt":"A river?","chosen":"The Aare.","rejected":"No."}\n'
  expect(await rowsOf(rows, { preference: 'rejected' })).toMatchObject([{ completion: [{ content: 'No.' }] }])
  expect(await rowsOf(rows, { preference: 'chosen' })).toMatchObject([{ completion: [{ content: 'The Aare.' }] }])
})

it('leaves bad rows out where the config says so, and says how many', async () => {
  const rows = '{"prompt":"1","completion":"2"}\n{"prompt":\n{"prompt":"3"}\n{"prompt":"4","completion":"5"}\n'
  const say = vi.spyOn(console, 'error').mockImplementation(() => {})
  expect(await rowsOf(rows, { onError: 'skip' })).toMatchObject([{ completion: '2' }, { completion: '5' }])
  expect(say.mock.calls.flat().join()).toMatch(/dataset\.train: 2 rows left out; first: .*rows\.jsonl:2/)
  await expect(rowsOf(rows, {})).rejects.toThrow(/rows\.jsonl:2/)
})

it('knows columns by the names that the config gives, and reads files as it says', async () => {
  const rows = '{"data":[{"Query":"1","Reply":"2"}]}'
  const train = { path: join(folder, 'rows.jsonl'), format: 'json', field: 'data' }
  expect(await rowsOf(rows, { train, columns: { prompt: 'Query', completion: 'Reply' } })).toMatchObject([
    { prompt: '1', completion: '2' },
  ])
})
