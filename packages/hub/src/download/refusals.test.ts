import { mkdir, rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { inspect } from 'node:util'
import { describe, expect, it } from 'vitest'
import { downloadSetup, exists } from '../fixtures/download-setup'

const here = downloadSetup()
const { blob, expected, files, get, hash, read, weights } = here

describe('access', () => {
  it('explains an unknown id, revision and file, with and without a token', async () => {
    await expect(get({ repoId: 'org/none' })).rejects.toMatchObject({
      code: 'not_found',
      message: expect.stringMatching(/There is no model org\/none, or it is private .*Set HF_TOKEN/s),
    })
    await expect(get({ repoId: 'org/none', token: 'hf_abc' })).rejects.toMatchObject({
      code: 'not_found',
      message: expect.stringContaining('Check that the token is of an account'),
    })
    here.hub.put('org/tiny', files)
    await expect(get({ revision: 'v9' })).rejects.toMatchObject({
      code: 'not_found',
      message: expect.stringContaining('no revision "v9"'),
    })
  })

  it('explains gated repositories: without terms accepted, without a token, and lets the accepted in', async () => {
    here.hub.put('org/tiny', files)
    here.hub.store.find('model', 'org/tiny')!.gated = ['hf_friend']
    await expect(get()).rejects.toMatchObject({
      message: expect.stringMatching(/is gated.*Accept the terms at .*org\/tiny, then set HF_TOKEN/s),
    })
    await expect(get({ token: 'hf_stranger' })).rejects.toMatchObject({
      message: expect.stringContaining('with the account of your token'),
    })
    expect(await read(await get({ token: 'hf_friend' }))).toEqual(expected)
  })

  it('sends the token to the Hub and not to the storage server, and finds it in the environment and the file', async () => {
    here.hub.put('org/tiny', files)
    here.hub.store.find('model', 'org/tiny')!.private = 'hf_secret'
    process.env.HF_TOKEN = ' hf_secret\n'
    expect(await read(await get())).toEqual(expected)
    for (const { server, headers } of here.hub.requests)
      expect(headers.authorization).toBe(server === 'hub' ? 'Bearer hf_secret' : undefined)
    process.env.HF_TOKEN = ''
    await rm(here.cacheDir, { recursive: true })
    await expect(get()).rejects.toMatchObject({ code: 'not_found' })
    process.env.HF_TOKEN_PATH = join(here.cacheDir, 'token')
    await mkdir(here.cacheDir, { recursive: true })
    await writeFile(process.env.HF_TOKEN_PATH, 'hf_secret\n')
    expect(await read(await get())).toEqual(expected)
    await expect(get({ token: false, revision: 'other' })).rejects.toMatchObject({ code: 'not_found' })
    delete process.env.HF_TOKEN_PATH
    delete process.env.HF_TOKEN
  })

  it('never shows the token, not even a malformed one', async () => {
    const shown: string[] = []
    for (const token of ['hf_expired_geheim', 'hf_geheim\nX-Evil: 1', 'hf_gehéim geheim']) {
      const error = await get({ token }).catch((each: unknown) => each as Error)
      shown.push(String(error), JSON.stringify(error), inspect(error, { depth: 9 }))
    }
    expect(shown.join('\n')).not.toMatch(/geh[eé]im/)
    expect(shown[0]).toContain('does not accept the token')
    expect(shown[3]).toContain('a character that no token has')
  })
})

describe('no network', () => {
  it.each([
    ['ENOTFOUND', 3],
    ['ECONNRESET', 6],
    ['ERR_INVALID_URL', 1],
  ])('%s is said after %i tries', async (code, tries) => {
    let asked = 0
    const fetch = async () => {
      asked++
      throw new TypeError('fetch failed', { cause: Object.assign(new Error(code), { code }) })
    }
    await expect(get({ fetch, retries: 5, retryDelayMs: 1 })).rejects.toMatchObject({
      code: 'network',
      what: expect.stringContaining(code),
      remedy: expect.stringContaining('HF_HUB_OFFLINE'),
    })
    expect(asked).toBe(tries)
  })
})

describe('offline', () => {
  it('finds what is there and touches no network', async () => {
    const commit = here.hub.put('org/tiny', files)
    const folder = await get()
    here.hub.reset()
    expect(await get({ offline: true })).toBe(folder)
    expect(await get({ offline: true, revision: commit })).toBe(folder)
    process.env.HF_HUB_OFFLINE = '1'
    expect(await get()).toBe(folder)
    await expect(get({ repoId: 'org/other' })).rejects.toMatchObject({
      code: 'not_found',
      message: expect.stringMatching(/switched off.*no copy of the model org\/other.*unset HF_HUB_OFFLINE/s),
    })
    delete process.env.HF_HUB_OFFLINE
    expect(here.hub.requests).toEqual([])
  })

  it('names the files of a partial copy that are missing', async () => {
    here.hub.put('org/tiny', files)
    await get({ allowPatterns: ['*.json'] })
    await expect(get({ offline: true })).rejects.toMatchObject({
      code: 'not_found',
      message: expect.stringContaining('model.safetensors, sub/empty.txt'),
    })
    expect(await get({ offline: true, allowPatterns: ['*.json'] })).toContain('snapshots')
  })
})

describe('hostile servers', () => {
  it.each(['../evil', 'a/../../evil', '/etc/evil', 'C:/evil', 'a\\..\\evil', 'a//b', 'a/./b', 'nul\u0000', ''])(
    'refuses the file name %j',
    async (name) => {
      here.hub.put('org/tiny', { ...files, [name]: 'x' })
      await expect(get()).rejects.toMatchObject({ code: 'invalid_file' })
      expect(await exists(join(here.cacheDir, 'evil'))).toBe(false)
      here.hub.treeListing = false
      await expect(get()).rejects.toMatchObject({ code: 'invalid_file' })
    },
  )

  it.each(['../../x', 'a/../..', '/etc', 'a b', '', 'x\\y', '.hidden', 'a..b'])('refuses the revision %j', (revision) =>
    expect(get({ revision })).rejects.toMatchObject({ code: 'invalid_options' }),
  )

  it('refuses a commit or an etag that is not one', async () => {
    const answer = (body: unknown) => async () => Response.json(body)
    await expect(get({ fetch: answer({ sha: '../../evil' }) })).rejects.toMatchObject({ code: 'network' })
    const fetch = async (url: unknown) =>
      Response.json(
        String(url).includes('/tree/')
          ? [{ type: 'file', path: 'a', size: 1, oid: '../../../evil' }]
          : { sha: 'a'.repeat(40), siblings: [] },
      )
    await expect(get({ fetch: fetch as typeof globalThis.fetch })).rejects.toMatchObject({ code: 'network' })
  })

  it.each([{ error: 'no' }, null, 7, [null], [{ type: 'file' }], { items: [] }])(
    'refuses the listing %j',
    async (listing) => {
      const fetch = async (url: unknown) =>
        Response.json(String(url).includes('/tree/') ? listing : { sha: 'a'.repeat(40), siblings: [] })
      await expect(get({ fetch: fetch as typeof globalThis.fetch })).rejects.toMatchObject({
        name: 'TunesmithError',
      })
    },
  )

  it('refuses what another program listed in the cache, and a listing without end', async () => {
    const commit = here.hub.put('org/tiny', files)
    const trees = join(here.cacheDir, 'models--org--tiny', 'trees')
    await mkdir(trees, { recursive: true })
    const listing = { '../../../evil': { size: 1, blob_id: 'a'.repeat(40) } }
    await writeFile(join(trees, `${commit}.json`), JSON.stringify({ format_version: 1, files: listing }))
    expect(await read(await get({ revision: commit }))).toEqual(expected)
    const fetch = async (url: unknown) =>
      String(url).includes('/tree/')
        ? Response.json([], { headers: { link: `<${here.hub.endpoint}/api/models/org/tiny/tree/x>; rel="next"` } })
        : Response.json({ sha: 'a'.repeat(40), siblings: [] })
    await expect(get({ fetch: fetch as typeof globalThis.fetch })).rejects.toThrow('never ends')
  })

  it('refuses more bytes than the listing says', async () => {
    here.hub.put('org/tiny', { 'model.safetensors': weights })
    const stored = here.hub.store.find('model', 'org/tiny')!
    for (const files of stored.commits.values()) {
      const file = files.get('model.safetensors')!
      Object.defineProperty(file.content, 'length', { value: weights.length })
    }
    const larger = Buffer.concat([weights, weights])
    here.hub.store.uploads.set(hash, larger)
    await expect(get({ retries: 1 })).rejects.toThrow(/more than the 300000 bytes/)
    expect((await stat(`${blob()}.incomplete`)).size).toBeLessThanOrEqual(weights.length)
    here.hub.store.uploads.clear()
  })

  it('refuses a download that the disk cannot hold, before it starts', async () => {
    const fetch = async (url: unknown) =>
      Response.json(
        String(url).includes('/tree/')
          ? [{ type: 'file', path: 'a', size: 2 ** 52, oid: 'b'.repeat(40) }]
          : { sha: 'a'.repeat(40), siblings: [] },
      )
    await expect(get({ fetch: fetch as typeof globalThis.fetch })).rejects.toMatchObject({
      code: 'io',
      message: expect.stringContaining('free'),
    })
  })
})
