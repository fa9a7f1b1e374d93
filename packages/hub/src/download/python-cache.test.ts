import { execFile } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { LocalHub } from '../fixtures/local-hub'
import { originals, withPip } from '../fixtures/python'
import { downloadSnapshot } from './snapshot'

let hub: LocalHub
let cacheDir: string
beforeAll(async () => {
  hub = await LocalHub.start()
  cacheDir = await mkdtemp(join(tmpdir(), 'tunesmith-python-'))
})
afterAll(async () => {
  await hub.stop()
  await rm(cacheDir, { recursive: true, force: true })
})

const weights = randomBytes(50_000)
const files = { 'config.json': '{"a":1}', 'model.safetensors': weights, 'sub/dir/x.txt': 'x' }
const get = (offline: boolean, repoId = 'org/tiny') =>
  downloadSnapshot({ repoId, endpoint: hub.endpoint, cacheDir, offline, token: false, retryDelayMs: 5 })

it(
  'shares the cache with Python both ways: each finds offline what the other downloaded, and downloads nothing twice',
  withPip,
  async (context) => {
    const { python, reason } = await originals()
    if (!python) return context.skip(reason)
    const snapshot = async (offline: boolean, repoId = 'org/tiny') => {
      const script = `
import sys
from huggingface_hub import snapshot_download, try_to_load_from_cache, scan_cache_dir
folder = snapshot_download(sys.argv[1])
assert try_to_load_from_cache(sys.argv[1], 'config.json') == folder + '/config.json'
report = scan_cache_dir(); assert not report.warnings, report.warnings
print(folder)`
      const { stdout } = await promisify(execFile)(python, ['-c', script, repoId], {
        env: {
          ...process.env,
          HF_HOME: join(cacheDir, 'home'),
          HF_HUB_CACHE: cacheDir,
          HF_ENDPOINT: hub.endpoint,
          HF_HUB_OFFLINE: offline ? '1' : '0',
          HF_HUB_DISABLE_XET: '1',
          HF_HUB_DISABLE_TELEMETRY: '1',
        },
      })
      return stdout.trim()
    }
    const contents = async (folder: string) => (await readFile(join(folder, 'model.safetensors'))).equals(weights)
    const downloads = () =>
      hub.requests.filter(({ url, method }) => method === 'GET' && url.includes('/resolve/')).length

    // Ours first.
    const commit = hub.put('org/tiny', files)
    const ours = await get(false)
    hub.reset()
    expect(await snapshot(true)).toBe(ours)
    expect(hub.requests).toEqual([])
    expect(await snapshot(false)).toBe(ours)
    expect(downloads()).toBe(0)

    // Then Python's, of a newer commit and of another repository.
    const next = hub.put('org/tiny', { 'config.json': '{"a":2}' })
    expect(next).not.toBe(commit)
    const theirs = await snapshot(false)
    expect(theirs).toContain(next)
    hub.reset()
    expect(await get(true)).toBe(theirs)
    expect(await get(false)).toBe(theirs)
    expect(downloads()).toBe(0)
    expect(await contents(theirs)).toBe(true)

    hub.put('org/other', files)
    const other = await snapshot(false, 'org/other')
    hub.reset()
    expect(await get(true, 'org/other')).toBe(other)
    expect(hub.requests).toEqual([])
    // What Python left unfinished or locked does not disturb us, and the other way.
    const left = (await readdir(cacheDir, { recursive: true })).filter((name) =>
      /incomplete|\.tmp$|tunesmith/.test(name),
    )
    expect(left).toEqual([])
  },
)
