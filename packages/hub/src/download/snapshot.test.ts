import { lstat, readdir, readFile, readlink, rm, stat, symlink, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { digest, downloadSetup, exists } from '../fixtures/download-setup'
import { resolveModelFolder } from './resolve-folder'
import type { DownloadProgress } from './snapshot'

const here = downloadSetup()
const { blob, expected, files, get, hash, read, weights } = here

describe('downloadSnapshot', () => {
  it('lays the files out as blobs, links, refs and a tree listing', async () => {
    const commit = here.hub.put('org/tiny', files)
    const folder = await get()
    expect(folder).toBe(join(here.cacheDir, 'models--org--tiny', 'snapshots', commit))
    expect(await read(folder)).toEqual(expected)
    expect(await readlink(join(folder, 'model.safetensors'))).toBe(`../../blobs/${hash}`)
    expect(await readlink(join(folder, 'sub', 'empty.txt'))).toBe(
      '../../../blobs/e69de29bb2d1d6434b8b29ae775ad8c2e48c5391',
    )
    expect(await readFile(join(here.cacheDir, 'models--org--tiny', 'refs', 'main'), 'utf8')).toBe(commit)
    const tree = JSON.parse(await readFile(join(here.cacheDir, 'models--org--tiny', 'trees', `${commit}.json`), 'utf8'))
    expect(tree.files['model.safetensors']).toMatchObject({ lfs_sha256: hash, lfs_size: weights.length })
    expect((await readdir(join(here.cacheDir, 'models--org--tiny', 'blobs'))).length).toBe(3)
    expect(await readdir(join(here.cacheDir, '.locks', 'models--org--tiny'))).toEqual([])
  })

  it('asks only for the commit when all is there, and for nothing when the revision is a commit', async () => {
    const commit = here.hub.put('org/tiny', files)
    await get()
    here.hub.reset()
    await get()
    expect(here.hub.requests.map(({ url }) => url)).toEqual(['/api/models/org/tiny/revision/main'])
    here.hub.reset()
    await get({ revision: commit })
    expect(here.hub.requests).toEqual([])
  })

  it('follows a branch, shares unchanged contents between commits, and keeps the old commit', async () => {
    const first = here.hub.put('org/tiny', files)
    await get()
    const second = here.hub.put('org/tiny', { 'config.json': '{"model_type":"qwen2"}' })
    here.hub.reset()
    const folder = await get()
    expect(folder).toContain(second)
    expect(here.hub.count('/resolve/')).toBe(1)
    expect(here.hub.requests.some(({ server }) => server === 'storage')).toBe(false)
    expect(await readFile(join(await get({ revision: first }), 'config.json'), 'utf8')).toContain('llama')
  })

  it('takes tags, pull requests and datasets', async () => {
    here.hub.put('org/tiny', { 'a.json': '1' }, 'model', 'refs/pr/7')
    expect(await readFile(join(await get({ revision: 'refs/pr/7' }), 'a.json'), 'utf8')).toBe('1')
    here.hub.put('org/rows', { 'train.jsonl': '{}\n' }, 'dataset')
    const folder = await get({ repoId: 'org/rows', repoType: 'dataset' })
    expect(folder).toContain('datasets--org--rows')
    expect(await readdir(folder)).toEqual(['train.jsonl'])
  })

  it('takes only what the patterns say, from a listing of several pages', async () => {
    here.hub.pageSize = 2
    here.hub.put('org/tiny', { ...files, 'a.bin': 'x', 'b.json': '1', 'sub/c.json': '2', 'd 100%#é.json': '3' })
    const folder = await get({ allowPatterns: ['*.json'], ignorePatterns: ['b.*', 'sub/'] })
    expect((await readdir(folder)).sort()).toEqual(['config.json', 'd 100%#é.json'])
    expect(here.hub.count('/tree/')).toBe(4)
    // Asked for more later, it fetches only the rest.
    here.hub.reset()
    await get({ allowPatterns: ['*.json'] })
    expect(here.hub.count('/resolve/')).toBe(2)
  })

  it('reports progress that ends at the whole', async () => {
    here.hub.put('org/tiny', files)
    const events: DownloadProgress[] = []
    await get({ onProgress: (progress) => events.push(progress) })
    const total = weights.length + files['config.json'].length
    expect(events.at(-1)).toMatchObject({ overallLoaded: total, overallTotal: total, filesDone: 3, filesTotal: 3 })
    for (const [index, event] of events.entries())
      expect(event.overallLoaded).toBeGreaterThanOrEqual(events[index - 1]?.overallLoaded ?? 0)
  })

  it('downloads many files at once, without a warning about listeners', async () => {
    const many = Object.fromEntries(Array.from({ length: 120 }, (_, i) => [`f${i}.safetensors`, `${i}`]))
    here.hub.put('org/tiny', many)
    const warnings: string[] = []
    const listen = (warning: Error) => warnings.push(warning.message)
    process.on('warning', listen)
    const folder = await get({ signal: new AbortController().signal, maxWorkers: 16 })
    await new Promise((resolve) => setImmediate(resolve))
    process.off('warning', listen)
    expect(warnings).toEqual([])
    expect((await readdir(folder)).length).toBe(120)
    expect(await readFile(join(folder, 'f77.safetensors'), 'utf8')).toBe('77')
  })

  it('takes a cache without a listing, from an older program, as it is', async () => {
    const commit = here.hub.put('org/tiny', files)
    const folder = await get()
    await rm(join(here.cacheDir, 'models--org--tiny', 'trees'), { recursive: true })
    expect(await get({ offline: true })).toBe(folder)
    here.hub.reset()
    expect(await get({ revision: commit })).toBe(folder)
    expect(here.hub.count('/resolve/')).toBe(0)
  })

  it('downloads one content under several names once', async () => {
    here.hub.put('org/tiny', { 'a.safetensors': weights, 'b.safetensors': weights })
    const folder = await get()
    expect(digest(await readFile(join(folder, 'b.safetensors')))).toBe(hash)
    expect(here.hub.requests.filter(({ server }) => server === 'storage').length).toBe(1)
  })

  it('asks about each file where a mirror has no tree listing', async () => {
    here.hub.treeListing = false
    here.hub.put('org/tiny', files)
    expect(await read(await get())).toEqual(expected)
    expect(here.hub.count('/resolve/', 'HEAD')).toBe(3)
  })

  it('copies or moves where links cannot be made', async () => {
    process.env.HF_HUB_DISABLE_SYMLINKS = '1'
    try {
      here.hub.put('org/tiny', { ...files, 'again.safetensors': weights })
      const folder = await get()
      expect(await read(folder)).toEqual(expected)
      expect((await lstat(join(folder, 'model.safetensors'))).isFile()).toBe(true)
      expect(digest(await readFile(join(folder, 'again.safetensors')))).toBe(hash)
      here.hub.reset()
      await get()
      expect(here.hub.count('/resolve/')).toBe(0)
      await rm(join(folder, 'again.safetensors'))
      expect(digest(await readFile(join(await get(), 'again.safetensors')))).toBe(hash)
    } finally {
      delete process.env.HF_HUB_DISABLE_SYMLINKS
    }
  })

  it('repairs a dangling link and a blob of the wrong size', async () => {
    here.hub.put('org/tiny', files)
    const folder = await get()
    await rm(blob())
    expect(await read(await get())).toEqual(expected)
    await truncate(blob(), 100)
    expect(await read(await get())).toEqual(expected)
    await rm(join(folder, 'config.json'))
    await symlink('nowhere', join(folder, 'config.json'))
    expect(await read(await get())).toEqual(expected)
  })
})

describe('a connection that fails', () => {
  it('resumes after the connection was cut, asking only for the rest', async () => {
    here.hub.put('org/tiny', files)
    here.hub.fail({ match: hash, cutAfter: 100_000 })
    here.hub.fail({ match: hash, cutAfter: 50_000 })
    expect(await read(await get())).toEqual(expected)
    const ranges = here.hub.requests.filter(({ server }) => server === 'storage').map(({ headers }) => headers.range)
    expect(ranges[0]).toBeUndefined()
    expect(ranges.slice(1)).toEqual(['bytes=100000-', 'bytes=150000-'])
  })

  it('resumes in a later call what an earlier one left', async () => {
    here.hub.put('org/tiny', files)
    here.hub.fail({ match: hash, cutAfter: 120_000 })
    await expect(get({ retries: 0 })).rejects.toMatchObject({ code: 'network' })
    expect((await stat(`${blob()}.incomplete`)).size).toBe(120_000)
    here.hub.reset()
    const events: DownloadProgress[] = []
    expect(await read(await get({ onProgress: (progress) => events.push(progress) }))).toEqual(expected)
    expect(here.hub.requests.find(({ server }) => server === 'storage')?.headers.range).toBe('bytes=120000-')
    expect(await exists(`${blob()}.incomplete`)).toBe(false)
    expect(events.some(({ file, loaded }) => file === 'model.safetensors' && loaded === 120_000)).toBe(true)
  })

  it('starts again when the server ignores the range, and when what is there does not fit', async () => {
    here.hub.put('org/tiny', files)
    here.hub.fail({ match: hash, cutAfter: 120_000 })
    here.hub.fail({ match: hash, ignoreRange: true })
    expect(await read(await get())).toEqual(expected)
    await rm(blob())
    await writeFile(`${blob()}.incomplete`, Buffer.alloc(weights.length + 5))
    expect(await read(await get())).toEqual(expected)
    await rm(blob())
    await writeFile(`${blob()}.incomplete`, Buffer.alloc(1000))
    expect(await read(await get())).toEqual(expected)
  })

  it('notices a server that falls silent', async () => {
    here.hub.put('org/tiny', files)
    here.hub.fail({ match: hash, silentAfter: 100_000 })
    expect(await read(await get({ timeoutMs: 1000 }))).toEqual(expected)
  })

  it('finds one corrupted byte by the hash and fetches the file again', async () => {
    here.hub.put('org/tiny', files)
    here.hub.fail({ match: hash, corruptAt: 77_777 })
    here.hub.fail({ match: 'config.json', corruptAt: 3 })
    expect(await read(await get())).toEqual(expected)
  })

  it('gives up on a file that is corrupted twice, and keeps nothing of it', async () => {
    here.hub.put('org/tiny', files)
    here.hub.fail({ match: hash, corruptAt: 77_777, times: 2 })
    await expect(get()).rejects.toMatchObject({ code: 'invalid_file', message: expect.stringContaining(hash) })
    expect(await exists(blob())).toBe(false)
    expect(await read(await get())).toEqual(expected)
    here.hub.put('org/tiny', { 'config.json': '{"small": 1}' })
    here.hub.fail({ match: 'config.json', corruptAt: 3, times: 2 })
    await expect(get()).rejects.toMatchObject({ code: 'invalid_file' })
  })

  it('repeats after 429 and 503, waiting as long as the server asks', async () => {
    here.hub.put('org/tiny', files)
    here.hub.fail({ match: '/revision/', status: 503 })
    here.hub.fail({ match: '/tree/', status: 500 })
    here.hub.fail({ match: 'config.json', status: 429, headers: { 'retry-after': '1' } })
    here.hub.fail({ match: hash, status: 503, times: 3 })
    const start = performance.now()
    expect(await read(await get())).toEqual(expected)
    expect(performance.now() - start).toBeGreaterThan(950)
  })

  it('does not wait for a server that asks for hours, and stops after the given number of repetitions', async () => {
    here.hub.put('org/tiny', files)
    here.hub.fail({ match: '/revision/', status: 429, headers: { 'retry-after': '7200' } })
    await expect(get()).rejects.toMatchObject({ code: 'network', message: expect.stringContaining('fewer requests') })
    here.hub.reset()
    here.hub.fail({ match: '/revision/', status: 503, times: 99 })
    await expect(get({ retries: 2 })).rejects.toMatchObject({ code: 'network' })
    expect(here.hub.count('/revision/')).toBe(3)
  })

  it('uses a complete copy, with a warning, when the Hub cannot be reached', async () => {
    here.hub.put('org/tiny', files)
    const folder = await get()
    const warnings: string[] = []
    const listen = (warning: Error) => warnings.push(warning.message)
    process.on('warning', listen)
    expect(await get({ endpoint: 'http://127.0.0.1:65432' })).toBe(folder)
    await new Promise((resolve) => setImmediate(resolve))
    process.off('warning', listen)
    expect(warnings.join()).toContain('Could not reach 127.0.0.1:65432')
    await expect(get({ endpoint: 'http://127.0.0.1:65432', revision: 'other', retries: 0 })).rejects.toMatchObject({
      code: 'network',
    })
  })

  it('stops on request and resumes later', async () => {
    here.hub.put('org/tiny', files)
    here.hub.fail({ match: hash, slowMs: 20 })
    const stop = new AbortController()
    const running = get({
      signal: stop.signal,
      onProgress: ({ loaded, file }) => {
        if (file === 'model.safetensors' && loaded > 60_000) stop.abort()
      },
    })
    await expect(running).rejects.toMatchObject({ code: 'aborted' })
    expect((await stat(`${blob()}.incomplete`)).size).toBeGreaterThan(60_000)
    expect(await read(await get())).toEqual(expected)
  })
})

describe('resolveModelFolder', () => {
  const options = () => ({ endpoint: here.hub.endpoint, cacheDir: here.cacheDir, retryDelayMs: 5 })

  it('returns a folder as it is, and downloads an id without the weights of other programs', async () => {
    expect(await resolveModelFolder(here.cacheDir, options())).toBe(here.cacheDir)
    here.hub.put('org/tiny', { ...files, 'pytorch_model.bin': 'x', 'onnx/model.onnx': 'x', 'tiny.gguf': 'x' })
    const folder = await resolveModelFolder('org/tiny', options())
    expect((await readdir(folder)).sort()).toEqual(['config.json', 'model.safetensors', 'sub'])
    const all = await resolveModelFolder('org/tiny', { ...options(), ignorePatterns: [] })
    expect((await readdir(all)).length).toBe(6)
  })

  it.each(['./missing', '/missing', '~/missing', 'a/b/c', 'models/', 'C:\\models', '../x', 'with space'])(
    'takes %j for a path',
    async (path) => {
      await expect(resolveModelFolder(path, options())).rejects.toMatchObject({
        code: 'not_found',
        message: expect.stringContaining('There is no folder'),
      })
      expect(here.hub.requests).toEqual([])
    },
  )

  it('says that neither a folder nor a model has the name', async () => {
    await expect(resolveModelFolder('org/none', options())).rejects.toMatchObject({
      code: 'not_found',
      message: expect.stringMatching(/no folder "org\/none" here, and no such model/),
    })
  })

  it('names the nearest option', async () => {
    await expect(resolveModelFolder('org/tiny', { revison: 'x' } as object)).rejects.toMatchObject({
      code: 'invalid_options',
      message: expect.stringContaining('did you mean "revision"'),
    })
  })
})
