import { homedir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { filterFiles, matchesPattern } from '../download/patterns'
import { withoutQuery } from './client'
import { isRepoId } from './repo'
import { cacheFolder, resolveConnection } from './settings'

const saved = { ...process.env }
beforeEach(() => {
  for (const name of Object.keys(process.env))
    if (/^(HF_|HUGGING|TRANSFORMERS_|XDG_CACHE)/.test(name)) delete process.env[name]
  process.env.HF_HOME = '/no/such/home'
})
afterEach(() => {
  process.env = { ...saved }
})
const defaults = { retries: 5, retryDelayMs: 500, timeoutMs: 30_000 }

describe('the environment', () => {
  it('says where the cache is, in the order Python follows', () => {
    expect(cacheFolder()).toBe('/no/such/home/hub')
    process.env.HUGGINGFACE_HUB_CACHE = '/legacy'
    expect(cacheFolder()).toBe('/legacy')
    process.env.HF_HUB_CACHE = '~/hub'
    expect(cacheFolder()).toBe(join(homedir(), 'hub'))
    process.env.HF_HUB_CACHE = '$HF_HOME/$' + '{HUGGINGFACE_HUB_CACHE}/x'
    expect(cacheFolder()).toBe('/no/such/home/legacy/x')
    expect(cacheFolder('/option')).toBe('/option')
    delete process.env.HF_HUB_CACHE
    delete process.env.HUGGINGFACE_HUB_CACHE
    delete process.env.HF_HOME
    process.env.XDG_CACHE_HOME = '/xdg'
    expect(cacheFolder()).toBe('/xdg/huggingface/hub')
    delete process.env.XDG_CACHE_HOME
    expect(cacheFolder()).toBe(join(homedir(), '.cache', 'huggingface', 'hub'))
  })

  it('says where the Hub is, whether to use it, and with which token', async () => {
    expect(await resolveConnection(defaults)).toMatchObject({
      endpoint: 'https://huggingface.co',
      offline: false,
      token: undefined,
    })
    Object.assign(process.env, { HF_ENDPOINT: 'https://mirror.example/', HF_HUB_OFFLINE: 'Yes', HF_TOKEN: 'hf_x\n' })
    const { endpoint, offline, token } = await resolveConnection(defaults)
    expect([endpoint, offline, token?.authorization()]).toEqual(['https://mirror.example', true, 'Bearer hf_x'])
    expect(`${token} ${JSON.stringify({ token })}`).not.toContain('hf_x')
    process.env.HF_HUB_DISABLE_IMPLICIT_TOKEN = '1'
    expect((await resolveConnection(defaults)).token).toBeUndefined()
    expect((await resolveConnection({ ...defaults, token: 'hf_y', offline: false })).token?.authorization()).toBe(
      'Bearer hf_y',
    )
    process.env.HF_ENDPOINT = 'huggingface.co'
    await expect(resolveConnection(defaults)).rejects.toMatchObject({ code: 'invalid_options', where: 'HF_ENDPOINT' })
  })
})

it('knows a Hub id when it sees one', () => {
  for (const id of ['gpt2', 'org/name', 'Org-1/na_me.v2-x', 'a/b']) expect(isRepoId(id), id).toBe(true)
  for (const id of [
    '',
    '/',
    'a/',
    '/a',
    'a/b/c',
    'a--b',
    'a/..',
    '.a',
    'a/b.git',
    'a b',
    'ä/b',
    'a/b-',
    '-a/b',
    'a\\b',
  ])
    expect(isRepoId(id), id).toBe(false)
})

it('matches patterns as Python does', () => {
  for (const [path, pattern, expected] of [
    ['a.json', '*.json', true],
    ['sub/a.json', '*.json', true],
    ['a.jsonl', '*.json', false],
    ['A.json', 'a.json', false],
    ['sub/deep/x', 'sub/', true],
    ['subx', 'sub/', false],
    ['a1.bin', 'a[0-9].bin', true],
    ['ab.bin', 'a[!0-9].bin', true],
    ['a].bin', 'a[]].bin', true],
    ['a[1', 'a[1', true],
    ['a.b', 'a?b', true],
    ['a+b(c)$', 'a+b(c)$', true],
    ['sub/a', 'sub\\a', true],
    ['a\nb', 'a*b', true],
    ['😀', '?', true],
  ] as const)
    expect(matchesPattern(path, pattern), `${path} ~ ${pattern}`).toBe(expected)
  const names = (allow?: string[], ignore?: string[]) =>
    filterFiles([{ path: 'a.x' }, { path: 'b.x' }, { path: 'c.y' }], allow, ignore)
      .map(({ path }) => path)
      .join()
  expect([names(), names(['*.x'], ['a*']), names([]), names(undefined, ['*'])]).toEqual(['a.x,b.x,c.y', 'b.x', '', ''])
  expect(() => matchesPattern('a', '[z-a]')).toThrow('is not a pattern')
})

it('leaves the secrets of signed addresses out of messages', () => {
  expect(withoutQuery('https://x/y?Signature=secret')).toBe('https://x/y')
})
