import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { selectBackend } from '@tunesmith/backend'
import { afterAll, beforeAll, expect, it, vi } from 'vitest'
import { saveTinyModel } from '../testing/tiny-model'
import { askCommand } from './ask'
import { evalRetrievalCommand } from './eval-retrieval'
import { indexCommand } from './index-documents'

let folder: string
let printed: string[] = []
const at = (name: string) => join(folder, name)
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tunesmith-retrieval-cli-'))
  await mkdir(at('notes'))
  await writeFile(at('notes/a.md'), '# Metformin\n\nSeen on 2020-01-02: metformin lowers glucose.')
  await writeFile(at('notes/b.txt'), 'Aspirin prevents a second stroke.')
  await writeFile(
    at('questions.jsonl'),
    [
      { question: 'What lowers glucose?', documents: [at('notes/a.md')] },
      { question: 'What prevents a stroke?', documents: [at('notes/b.txt')] },
    ]
      .map((row) => JSON.stringify(row))
      .join('\n'),
  )
  await selectBackend()
  await saveTinyModel(at('model'))
  vi.spyOn(console, 'log').mockImplementation((...values) => {
    printed.push(values.join(' '))
  })
})
afterAll(async () => {
  vi.restoreAllMocks()
  await rm(folder, { recursive: true })
})

async function run(command: { parseAsync(args: string[], from: { from: 'user' }): Promise<unknown> }, args: string[]) {
  printed = []
  await command.parseAsync(args, { from: 'user' })
  return printed.join('\n')
}

it('indexes a folder, again only what changed, and masks', { timeout: 60_000 }, async () => {
  const args = [at('notes'), '--out', at('index'), '--mask', 'dates', '--json']
  const first = await run(indexCommand(), args)
  expect(first).toMatch(/2 added, 0 changed[\s\S]*masked in 1 documents: 1 of kind date[\s\S]*2 documents in 2 chunks/)
  expect(JSON.parse(printed.at(-1)!)).toMatchObject({ added: 2, documents: 2, chunks: 2 })
  expect(await run(indexCommand(), args)).toMatch(/0 added, 0 changed, 2 unchanged/)
  await expect(run(indexCommand(), [at('absent'), '--out', at('index')])).rejects.toThrow(/no such file or folder/)
})

it('shows passages, and lets a model answer from them', { timeout: 60_000 }, async () => {
  const shown = await run(askCommand(), [at('index'), 'what lowers glucose', '--explain'])
  expect(shown).toMatch(/^\[1\] .*a\.md \(\d\.\d+\): bm25 1\.\n {4}# Metformin Seen on \[DATE\]/)
  const template = ['--chat-template', 'chatml', '--max-new-tokens', '8', '--json']
  await run(askCommand(), [at('index'), 'glucose', '--k', '1', '--model', at('model'), ...template])
  const { passages, used, answer, citations } = JSON.parse(printed.at(-1)!)
  expect(passages[0].document).toBe(at('notes/a.md'))
  expect(typeof answer).toBe('string')
  for (const { number } of citations) expect(used.map((each: { number: number }) => each.number)).toContain(number)
})

it('evaluates', { timeout: 60_000 }, async () => {
  const out = await run(evalRetrievalCommand(), [at('index'), '--data', at('questions.jsonl'), '--out', at('report')])
  expect(out).toMatch(/recall@1[\s\S]*bm25[\s\S]*1\.0/)
  expect(await readFile(at('report/report.md'), 'utf8')).toContain('Time of a search')
  const again = [at('index'), '--data', at('questions.jsonl'), '--out', at('report')]
  await expect(run(evalRetrievalCommand(), again)).rejects.toThrow(/--overwrite/)
  await expect(run(evalRetrievalCommand(), [...again, '--overwrite', '--fit', '2'])).rejects.toThrow(/leave none/)
})
