import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { LocalHub } from '../fixtures/local-hub'
import { listRepoFiles, repoFileInfo } from './list-files'
import { downloadSnapshot } from './snapshot'

let hub: LocalHub
let cacheDir: string
beforeAll(async () => {
  hub = await LocalHub.start()
  cacheDir = await mkdtemp(join(tmpdir(), 'tunesmith-list-'))
})
afterAll(async () => {
  await hub.stop()
  await rm(cacheDir, { recursive: true, force: true })
})

it('lists files and describes one, and lists offline what was listed before', async () => {
  const commit = hub.put('org/tiny', { 'config.json': '{}', 'sub/model.safetensors': 'weights' })
  const repo = { repoId: 'org/tiny', endpoint: hub.endpoint, token: false as const, cacheDir, retryDelayMs: 5 }
  const files = await listRepoFiles(repo)
  expect(files.map(({ path, size }) => [path, size])).toEqual([
    ['config.json', 2],
    ['sub/model.safetensors', 7],
  ])
  const { cacheDir: _, ...connection } = repo
  for (const { path, size, etag } of files)
    expect(await repoFileInfo({ ...connection, path })).toEqual({ path, size, etag, commit })
  await expect(repoFileInfo({ ...connection, path: 'none' })).rejects.toMatchObject({
    code: 'not_found',
    message: expect.stringContaining('no file "none"'),
  })
  await expect(repoFileInfo({ ...connection, path: '../x' })).rejects.toMatchObject({ code: 'invalid_file' })
  await expect(listRepoFiles({ ...repo, offline: true })).rejects.toMatchObject({ code: 'network' })
  await downloadSnapshot({ ...repo, allowPatterns: ['*.json'] })
  hub.reset()
  expect(await listRepoFiles({ ...repo, offline: true })).toEqual(files)
  expect(hub.requests).toEqual([])
})
