import { randomBytes } from 'node:crypto'
import { mkdir, mkdtemp, readdir, readFile, rm, stat, utimes, writeFile } from 'node:fs/promises'
import { hostname, tmpdir } from 'node:os'
import { join } from 'node:path'
import { withFileLock } from '@tunesmith/core'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { bundleChild, startChild } from '../fixtures/child-process'
import { LocalHub } from '../fixtures/local-hub'
import { openCheckpoint } from '../safetensors/checkpoint'
import { writeShardedSafetensors } from '../safetensors/write-sharded'

let hub: LocalHub
let child: Awaited<ReturnType<typeof bundleChild>>
let folder: string
beforeAll(async () => {
  hub = await LocalHub.start()
  child = await bundleChild()
  folder = await mkdtemp(join(tmpdir(), 'tunesmith-processes-'))
})
afterAll(async () => {
  await hub.stop()
  await child.remove()
  await rm(folder, { recursive: true, force: true })
})

const weights = randomBytes(1_000_000)
const download = (cacheDir: string) =>
  startChild(
    child.path,
    { action: 'download', options: { repoId: 'org/tiny', endpoint: hub.endpoint, cacheDir, retryDelayMs: 20 } },
    { HF_HOME: join(folder, 'home'), HF_TOKEN: '', HF_HUB_OFFLINE: '' },
  )
const fromStorage = () => hub.requests.filter(({ server }) => server === 'storage')

describe('several processes', () => {
  it('download the same files at once: each file is fetched once, and both end with the whole', async () => {
    hub.put('org/tiny', { 'a.safetensors': weights, 'config.json': '{}' })
    hub.fail({ match: 'Signature', slowMs: 10, times: 99 })
    hub.requests.length = 0
    const cacheDir = join(folder, 'both')
    const results = await Promise.all([download(cacheDir).ended, download(cacheDir).ended, download(cacheDir).ended])
    for (const { code, output, errors } of results) {
      expect(errors).toBe('')
      expect(code).toBe(0)
      expect((await readFile(join(output.trim(), 'a.safetensors'))).equals(weights)).toBe(true)
    }
    expect(fromStorage().length).toBe(1)
    expect(await readdir(join(cacheDir, '.locks', 'models--org--tiny'))).toEqual([])
  })

  it('a process that is killed leaves its part and its lock; the next takes over and resumes', async () => {
    hub.reset()
    hub.put('org/tiny', { 'a.safetensors': weights, 'config.json': '{}' })
    hub.fail({ match: 'Signature', slowMs: 40 })
    const cacheDir = join(folder, 'killed')
    const first = download(cacheDir)
    const blobs = join(cacheDir, 'models--org--tiny', 'blobs')
    const part = async () => {
      const name = (await readdir(blobs).catch(() => [])).find((each) => each.endsWith('.incomplete'))
      return name === undefined ? 0 : (await stat(join(blobs, name))).size
    }
    while ((await part()) < 100_000) await new Promise((resolve) => setTimeout(resolve, 20))
    first.kill()
    await first.ended
    expect((await readdir(join(cacheDir, '.locks', 'models--org--tiny'))).length).toBe(1)
    hub.reset()
    const { code, output } = await download(cacheDir).ended
    expect(code).toBe(0)
    expect((await readFile(join(output.trim(), 'a.safetensors'))).equals(weights)).toBe(true)
    expect(fromStorage()[0]!.headers.range).toMatch(/^bytes=[1-9]\d{5}-$/)
  })

  it('a writer killed half-way leaves the old checkpoint whole', async () => {
    const checkpoint = join(folder, 'checkpoint')
    const old = (fill: number) =>
      Array.from({ length: 3 }, (_, i) => ({
        name: `t${i}`,
        dtype: 'U8' as const,
        shape: [1000],
        data: new Uint8Array(1000).fill(fill),
      }))
    await writeShardedSafetensors(checkpoint, old(1), { maxShardSize: 1000 })
    const before = (await readdir(checkpoint)).sort()
    const writer = startChild(child.path, {
      action: 'write',
      folder: checkpoint,
      bytes: 1000,
      tensors: 3,
      fill: 2,
      pauseMs: 100,
    })
    await writer.printed('2\n')
    writer.kill()
    await writer.ended
    const reader = await openCheckpoint(checkpoint)
    for (const name of ['t0', 't1', 't2'])
      expect(
        (await reader.read(name)).every((byte) => byte === 1),
        name,
      ).toBe(true)
    await reader.close()
    expect((await readdir(checkpoint)).filter((name) => !name.startsWith('.')).sort()).toEqual(before)
  })
})

describe('withFileLock', () => {
  const path = () => join(folder, `lock-${randomBytes(4).toString('hex')}`)

  it('lets one in at a time, and the next after an error', async () => {
    const lock = path()
    let inside = 0
    let most = 0
    const work = async () => {
      most = Math.max(most, ++inside)
      await new Promise((resolve) => setTimeout(resolve, 5))
      inside--
    }
    await expect(withFileLock(lock, () => Promise.reject(new Error('no')))).rejects.toThrow('no')
    await Promise.all(Array.from({ length: 6 }, () => withFileLock(lock, work)))
    expect(most).toBe(1)
    await expect(stat(lock)).rejects.toThrow()
  })

  it('takes over at once from a process of this machine that died, one at a time', async () => {
    const lock = path()
    const dead = startChild(child.path, {
      action: 'write',
      folder: join(folder, 'x'),
      bytes: 1,
      tensors: 0,
      fill: 0,
      pauseMs: 0,
    })
    await dead.ended
    const holder = { pid: 2 ** 22 + 1, host: hostname(), nonce: 'abc' }
    await writeFile(lock, JSON.stringify(holder))
    let inside = 0
    let most = 0
    const start = performance.now()
    await Promise.all(
      Array.from({ length: 8 }, () =>
        withFileLock(lock, async () => {
          most = Math.max(most, ++inside)
          await new Promise((resolve) => setTimeout(resolve, 2))
          inside--
        }),
      ),
    )
    expect(most).toBe(1)
    expect(performance.now() - start).toBeLessThan(30_000)
  })

  it.each([
    ['on another machine', JSON.stringify({ pid: 1, host: 'elsewhere', nonce: 'abc' })],
    ['that left an unreadable lock', '{"pid":'],
  ])('waits for a holder %s while it shows signs of life, and takes over after a minute without', async (_, text) => {
    const lock = path()
    await writeFile(lock, text)
    const stop = new AbortController()
    let waited = 0
    const waiting = withFileLock(lock, async () => 'in', { signal: stop.signal, onWait: () => waited++ })
    setTimeout(() => stop.abort(), 120)
    await expect(waiting).rejects.toMatchObject({ code: 'aborted' })
    expect(waited).toBe(1)
    const longAgo = new Date(Date.now() - 61_000)
    await utimes(lock, longAgo, longAgo)
    expect(await withFileLock(lock, async () => 'in')).toBe('in')
  })

  it('knows a lock of its own process id that an earlier process left', async () => {
    const lock = path()
    await writeFile(lock, JSON.stringify({ pid: process.pid, host: hostname(), nonce: 'abc' }))
    expect(await withFileLock(lock, async () => 'in')).toBe('in')
  })

  it('is not stopped by an arbiter who died too', async () => {
    const lock = path()
    await writeFile(lock, JSON.stringify({ pid: 2 ** 22 + 1, host: hostname(), nonce: 'abc' }))
    await mkdir(`${lock}.abc.dead`)
    const longAgo = new Date(Date.now() - 61_000)
    await utimes(`${lock}.abc.dead`, longAgo, longAgo)
    expect(await withFileLock(lock, async () => 'in')).toBe('in')
  })
})
