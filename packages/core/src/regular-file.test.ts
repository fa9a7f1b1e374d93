import { execFileSync } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { statRegularFile } from './regular-file'

describe.skipIf(process.platform === 'win32')('statRegularFile', () => {
  let folder: string
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'tunesmith-core-'))
  })
  afterEach(() => rm(folder, { recursive: true }))

  it('refuses what reading may never end of, and says what it is', async () => {
    const [file, pipe, socket] = ['file', 'pipe', 'socket'].map((name) => join(folder, name))
    await writeFile(file!, 'abc')
    expect((await statRegularFile(file!)).size).toBe(3)
    execFileSync('mkfifo', [pipe!])
    const server = createServer().listen(socket)
    await new Promise((resolve) => server.on('listening', resolve))
    for (const [path, what] of [
      [pipe, 'a named pipe'],
      [socket, 'a socket'],
      ['/dev/zero', 'a device'],
      [folder, 'a folder'],
    ])
      await expect(statRegularFile(path!)).rejects.toMatchObject({
        code: 'invalid_file',
        where: path,
        message: expect.stringContaining(what!),
      })
    server.close()
    await expect(statRegularFile(join(folder, 'none'), 'rows')).rejects.toMatchObject({
      code: 'not_found',
      where: 'rows',
    })
  })
})
