import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { LocalHub } from '../../../hub/src/fixtures/local-hub'
import { loadDataset, loadDatasetSplits } from './load'

let hub: LocalHub
let home: string
const saved = { ...process.env }
const jsonl = (split: string, count: number) =>
  Array.from({ length: count }, (_, i) => `${JSON.stringify({ text: `${split} ${i}` })}\n`).join('')

beforeAll(async () => {
  hub = await LocalHub.start()
  home = await mkdtemp(join(tmpdir(), 'tunesmith-hub-data-'))
  for (const name of Object.keys(process.env)) if (/^(HF_|HUGGING|TRANSFORMERS_)/.test(name)) delete process.env[name]
  Object.assign(process.env, { HF_HOME: home, HF_ENDPOINT: hub.endpoint })
  const parquet = await readFile(new URL('../fixtures/sample.zstd.parquet', import.meta.url))
  hub.put(
    'org/rows',
    { 'README.md': '# Rows', 'train.jsonl': jsonl('train', 5), 'test.jsonl': jsonl('test', 2) },
    'dataset',
  )
  hub.put(
    'org/tables',
    {
      'en/train-0.parquet': parquet,
      'en/train-1.parquet': parquet,
      'de/train-0.parquet': parquet,
      'de/train.csv': 'a\n1\n',
    },
    'dataset',
  )
})
afterAll(async () => {
  await hub.stop()
  process.env = saved
  await rm(home, { recursive: true, force: true })
})

describe('a data set on the Hub', () => {
  it('is loaded by id, downloading only the split asked for', async () => {
    hub.reset()
    const test = await loadDataset('org/rows', { split: 'test' })
    expect(test.toArray()).toEqual([{ text: 'test 0' }, { text: 'test 1' }])
    expect(test.where(1)).toMatch(/org\/rows\/test\.jsonl:2$/)
    expect(hub.requests.some(({ method, url }) => method === 'GET' && url.includes('train.jsonl'))).toBe(false)
    const splits = await loadDatasetSplits('hf://datasets/org/rows')
    expect([splits.train!.length, splits.test!.length]).toEqual([5, 2])
    await expect(loadDataset('org/rows')).rejects.toThrow(/several splits/)
  })

  it('reads Parquet where there are several formats, of the configuration asked for', async () => {
    expect(await loadDataset('org/tables', { config: 'de' })).toHaveLength(24)
    const stream = await loadDataset('org/tables', { config: 'en', streaming: true, columns: ['text'] })
    expect(await stream.collect()).toHaveLength(48)
    await expect(loadDataset('org/tables', { config: 'fr' })).rejects.toThrow(/no folder for a configuration "fr"/)
  })

  it('comes from the cache without the network', async () => {
    await loadDataset('org/rows', { split: 'train' })
    process.env.HF_HUB_OFFLINE = '1'
    try {
      expect(await loadDataset('org/rows', { split: 'train' })).toHaveLength(5)
    } finally {
      delete process.env.HF_HUB_OFFLINE
    }
  })

  it('is missed by name, as a file too', async () => {
    await expect(loadDataset('org/nothing')).rejects.toMatchObject({
      code: 'not_found',
      message: expect.stringMatching(/no file or folder of that name, and as a data set on the Hub/),
    })
  })
})
