import { existsSync } from 'node:fs'
import { mkdtemp, rm, stat, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { withFolderLock } from './file-lock'
import { makeFolder } from './make-folder'

const folder = await mkdtemp(join(tmpdir(), 'make-folder-'))
afterAll(() => rm(folder, { recursive: true }))

test('makes the folders that are missing, several callers at once too, and leaves one that is there alone', async () => {
  const deep = join(folder, 'a/b/c')
  await Promise.all([makeFolder(deep), makeFolder(deep), makeFolder(join(folder, 'a/b/d'))])
  await makeFolder(deep)
  expect((await stat(deep)).isDirectory()).toBe(true)
  expect(existsSync(join(folder, 'a/b/d'))).toBe(true)
})

test('callers that start at different moments never meet a half-made path', async () => {
  for (let round = 0; round < 100; round++) {
    const places = Array.from({ length: 12 }, (_, i) => join(folder, `round-${round}`, i % 2 ? 'a' : 'b', 'c', `${i}`))
    await Promise.all(
      places.map((place, i) => new Promise((ready) => setTimeout(ready, i % 3)).then(() => makeFolder(place))),
    )
    expect(places.every(existsSync)).toBe(true)
  }
})

test('a file in the way, and a link to nothing, are errors', async () => {
  await writeFile(join(folder, 'file'), '')
  await symlink(join(folder, 'nowhere'), join(folder, 'link'))
  await expect(makeFolder(join(folder, 'file'))).rejects.toMatchObject({ code: 'EEXIST' })
  await expect(makeFolder(join(folder, 'file/x/y'))).rejects.toMatchObject({ code: 'ENOTDIR' })
  await expect(makeFolder(join(folder, 'link/x'))).rejects.toMatchObject({ code: expect.stringMatching(/^E/) })
})

test.skipIf(!existsSync('/proc/self'))('a place without folders to make is an error at once', async () => {
  for (const place of ['/proc/no-such/run', '/proc/no-such'])
    await expect(makeFolder(place)).rejects.toMatchObject({ code: 'ENOENT' })
  await expect(withFolderLock('/proc/no-such/run', async () => 1)).rejects.toMatchObject({ code: 'not_found' })
})
