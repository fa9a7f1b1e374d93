import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { writeFileAtomic, writeFolderAtomic } from './index'

let folder: string
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tunesmith-core-'))
})
afterEach(() => rm(folder, { recursive: true }))

it('writes text, bytes and streams, making folders, and leaves nothing beside them', async () => {
  await writeFileAtomic(join(folder, 'a', 'b', 'text'), 'héllo')
  await writeFileAtomic(join(folder, 'a', 'b', 'bytes'), Uint8Array.of(1, 2))
  await writeFileAtomic(join(folder, 'a', 'b', 'stream'), async (file) => {
    await file.write('one ')
    await file.write('two')
  })
  expect((await readdir(join(folder, 'a', 'b'))).sort()).toEqual(['bytes', 'stream', 'text'])
  expect(await readFile(join(folder, 'a', 'b', 'text'), 'utf8')).toBe('héllo')
  expect(await readFile(join(folder, 'a', 'b', 'stream'), 'utf8')).toBe('one two')
})

it('keeps the old file when writing fails half way', async () => {
  const path = join(folder, 'file')
  await writeFileAtomic(path, 'old')
  const failing = writeFileAtomic(path, async (file) => {
    await file.write('half')
    throw Object.assign(new Error('ENOSPC: no space left on device'), { code: 'ENOSPC' })
  })
  await expect(failing).rejects.toMatchObject({
    code: 'io',
    where: path,
    remedy: expect.stringContaining('disk space'),
  })
  expect(await readFile(path, 'utf8')).toBe('old')
  expect(await readdir(folder)).toEqual(['file'])
})

it('says where when the place cannot be written', async () => {
  await writeFile(join(folder, 'file'), '')
  await expect(writeFileAtomic(join(folder, 'file', 'below'), 'x')).rejects.toMatchObject({ code: 'io' })
})

it('replaces a folder as a whole, or not at all', async () => {
  const path = join(folder, 'checkpoint')
  await writeFolderAtomic(path, (temporary) => writeFile(join(temporary, 'one'), '1'))
  await writeFolderAtomic(path, (temporary) => writeFile(join(temporary, 'two'), '2'))
  expect(await readdir(path)).toEqual(['two'])
  const failing = writeFolderAtomic(path, async (temporary) => {
    await writeFile(join(temporary, 'three'), '3')
    throw new Error('killed')
  })
  await expect(failing).rejects.toMatchObject({ code: 'io' })
  expect(await readdir(path)).toEqual(['two'])
  expect(await readdir(folder)).toEqual(['checkpoint'])
})
