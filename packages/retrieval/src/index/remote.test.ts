import { afterAll, beforeAll, expect, it } from 'vitest'
import { hashEmbedder } from '../testing/fake-embedder'
import { type S3Server, startS3Server } from '../testing/s3-server'
import { storeError } from './lance'
import { createIndex, openIndex } from './retrieval-index'

let server: S3Server
beforeAll(async () => {
  server = await startS3Server()
})
afterAll(() => server.close())

const documents = [
  { id: 'a', text: 'Metformin lowers glucose.', metadata: { year: 2001 } },
  { id: 'b', text: 'Aspirin prevents a stroke.', metadata: { year: 2010 } },
]

it('works at a server as in a folder, and keeps what was committed when a write is refused', {
  timeout: 60_000,
}, async () => {
  const { storageOptions } = server
  const options = { storageOptions, embedder: hashEmbedder() }
  await expect(openIndex('s3://bucket/index', options)).rejects.toThrow(/There is no index/)
  const index = await createIndex('s3://bucket/index', { ...options, fields: { year: 'number' } })
  await index.add(documents)
  expect([...server.objects.keys()].some((key) => key.startsWith('bucket/index/chunks.lance/'))).toBe(true)
  server.failWrites(403)
  const refused = index.add([{ id: 'c', text: 'New.' }])
  await expect(refused).rejects.toMatchObject({
    code: 'network',
    message: expect.stringMatching(/write to the index.*credentials/s),
  })
  server.failWrites(0)
  const again = await openIndex('s3://bucket/index', options)
  expect(again.size.documents).toBe(2)
  expect((await again.search('stroke', { where: { year: { from: 2005 } } })).map(({ document }) => document)).toEqual([
    'b',
  ])
  expect(await again.add([{ id: 'c', text: 'New.' }])).toMatchObject({ added: 1 })
})

it('says what to do about a full disk and missing rights', () => {
  const full = storeError(
    new Error('LanceError(IO): No space left on device (os error 28)'),
    'folder',
    'write to the index',
  )
  expect(full).toMatchObject({ code: 'io' })
  expect(full.message).toMatch(/No space left on the disk.*folder.*Free some space/s)
  expect(storeError(new Error('Permission denied (os error 13)'), 'folder', 'write').message).toMatch(/No permission/)
  expect(storeError(new Error('corrupt'), 'folder', 'search').code).toBe('invalid_file')
})
