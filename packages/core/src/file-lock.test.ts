import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { hostname, tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { FOLDER_LOCK, withFolderLock } from './index'

let folder: string
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tunesmith-lock-'))
})
afterEach(() => rm(folder, { recursive: true }))
const lockOf = (holder: object) => writeFile(join(folder, FOLDER_LOCK), JSON.stringify({ nonce: 'abc', ...holder }))

it('gives a folder to one work at a time, and to the parts of that work', async () => {
  await withFolderLock(folder, async () => {
    expect(await withFolderLock(join(folder, '..', folder.split('/').at(-1)!), async () => 'a part')).toBe('a part')
    expect(await readdir(folder)).toEqual([FOLDER_LOCK])
  })
  let end = () => {}
  const first = withFolderLock(folder, () => new Promise<void>((resolve) => (end = resolve)))
  await new Promise((resolve) => setTimeout(resolve, 50))
  await expect(withFolderLock(folder, async () => {})).rejects.toMatchObject({
    code: 'io',
    message: expect.stringContaining(`in use by process ${process.pid} on ${hostname()}`),
    where: folder,
  })
  end()
  await first
  await expect(withFolderLock(folder, () => Promise.reject(new Error('no')))).rejects.toThrow('no')
  expect(await withFolderLock(join(folder, 'new'), async () => 'made')).toBe('made')
  expect(await readdir(folder)).toEqual(['new'])
})

it('takes over the lock of a process that died here, and says so', async () => {
  const child = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)'])
  await once(child, 'spawn')
  await lockOf({ pid: child.pid, host: hostname() })
  await expect(withFolderLock(folder, async () => {})).rejects.toThrow(`process ${child.pid}`)
  child.kill('SIGKILL')
  await once(child, 'exit')
  const said: string[] = []
  expect(
    await withFolderLock(
      folder,
      async () => 'in',
      (message) => said.push(message),
    ),
  ).toBe('in')
  expect(said).toEqual([expect.stringMatching(new RegExp(`process ${child.pid} on .* taken over`))])
  // A process of another machine, or another program that got the dead one's number.
  await lockOf({ pid: 1, host: 'elsewhere' })
  await expect(withFolderLock(folder, async () => {})).rejects.toThrow('process 1 on elsewhere')
  await lockOf({ pid: process.ppid, host: hostname(), began: '1' })
  if (process.platform === 'linux') expect(await withFolderLock(folder, async () => 'in')).toBe('in')
})
