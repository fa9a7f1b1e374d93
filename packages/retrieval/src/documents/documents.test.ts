import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { sharedPath } from '@tunesmith/tooling/shared'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { pdfWith } from '../testing/pdf'
import type { Document } from './document'
import { globExpression } from './glob'
import { htmlText } from './html'
import { type ReadDocumentsOptions, readDocuments } from './read'

let folder: string
const put = (name: string, content: string | Uint8Array) => writeFile(join(folder, name), content)
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tunesmith-documents-'))
  await mkdir(join(folder, 'sub', '.hidden'), { recursive: true })
  await mkdir(join(folder, 'rows'))
  await put('sub/a.md', '# Title\n\nText.')
  await put('sub/b.html', '<title>A page</title><h1>Head</h1><p>One&nbsp;two <b>three</b></p><script>no()</script>')
  await put('sub/c.bin', 'no text')
  await put('sub/.hidden/d.txt', 'hidden')
  await put('sub/e.pdf', pdfWith(['Fever and cough.', 'Second page.']))
  await put('rows/rows.jsonl', '{"id":7,"text":"seven","year":2001}\n{"id":8,"text":["eight","nine"],"year":null}\n')
})
afterAll(() => rm(folder, { recursive: true }))

async function read(source: string | string[], options?: ReadDocumentsOptions): Promise<Document[]> {
  const documents: Document[] = []
  for await (const document of readDocuments(source, options)) documents.push(document)
  return documents
}

it('reads text, Markdown, HTML and PDF of a folder, and not what is hidden or unknown', async () => {
  const found = await read(join(folder, 'sub'))
  expect(found.map(({ id }) => id.slice(folder.length))).toEqual(['/sub/a.md', '/sub/b.html', '/sub/e.pdf'])
  expect(found[1]).toMatchObject({ text: '# Head\n\nOne two three', metadata: { title: 'A page' } })
  expect(found[2]!.text).toBe('Fever and cough.\n\nSecond page.')
})

it('takes patterns', async () => {
  expect((await read(join(folder, '**/*.{md,bin}'))).map(({ text }) => text)).toEqual(['# Title\n\nText.', 'no text'])
  expect(await read(join(folder, 'sub'), { glob: '*.md' })).toHaveLength(1)
  expect(globExpression('**/a?.md').test('x/y/ab.md')).toBe(true)
  expect(globExpression('*.md').test('x/a.md')).toBe(false)
})

it('reads rows, their ids, lists of texts and metadata', async () => {
  expect(await read(join(folder, 'rows/rows.jsonl'), { metadataColumns: ['year'] })).toEqual([
    { id: '7', source: '7', text: 'seven', metadata: { year: 2001 } },
    { id: '8', source: '8', text: 'eight\nnine', metadata: {} },
  ])
})

const data = sharedPath('data/pubmedqa')
it.skipIf(!data)('reads the authors’ file of PubMedQA', async () => {
  const found = await read(join(data!, 'ori_pqal.json'))
  expect(found).toHaveLength(1000)
  expect(new Set(found.map(({ id }) => id)).size).toBe(1000)
})

it('says what is wrong with a source', async () => {
  await mkdir(join(folder, 'none'))
  await put('none/x.bin', 'x')
  await expect(read(join(folder, 'none'))).rejects.toThrow(/no document in the source/)
  await expect(read(join(folder, 'absent'))).rejects.toThrow(/no such file or folder/)
  await put('empty.txt', ' \n')
  await expect(read(join(folder, 'empty.txt'))).rejects.toThrow(/document is empty/)
  await put('latin.txt', Uint8Array.of(0x4d, 0xe9, 0x6e))
  await expect(read(join(folder, 'latin.txt'))).rejects.toThrow(/not text in UTF-8/)
  await put('scan.pdf', pdfWith(['']))
  await expect(read(join(folder, 'scan.pdf'))).rejects.toThrow(/1 pages and no text; it seems to be scanned .*ocrmypdf/)
  await put('bad.pdf', 'not a pdf')
  await expect(read(join(folder, 'bad.pdf'))).rejects.toThrow(/PDF cannot be read/)
  await expect(read(join(folder, 'sub/a.md'), { maxBytes: 3 })).rejects.toThrow(/14 bytes, and 3 are allowed/)
  await put('rows/bad.jsonl', '{"x":1}\n')
  await expect(read(join(folder, 'rows/bad.jsonl'))).rejects.toThrow(/row has no text .*bad.jsonl, row 0.*has x/)
  const skipped: string[] = []
  const options = { onError: 'skip', onSkip: (message: string) => skipped.push(message) } as const
  expect(await read([join(folder, 'scan.pdf'), join(folder, 'sub/a.md')], options)).toHaveLength(1)
  expect(skipped).toHaveLength(1)
})

it('makes a text of any HTML', () => {
  expect(htmlText('<ul><li>one<li>two</ul><table><tr><td>a<td>b</table><pre>x\n  y</pre>').text).toBe(
    'one\ntwo\n\na b\n\nx\n  y',
  )
  expect(htmlText('<p>open <b>never </closed <<<').text).toContain('open')
  expect(htmlText('<svg><title>no</title></svg>a').text).toBe('a')
})
