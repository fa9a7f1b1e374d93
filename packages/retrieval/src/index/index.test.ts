import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { FOLDER_LOCK, withFolderLock } from '@tunesmith/core'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Document } from '../documents/document'
import { hashEmbedder } from '../testing/fake-embedder'
import { MASKS } from '../text/mask'
import { createIndex, openIndex } from './retrieval-index'

let folder: string
let next = 0
const fresh = () => join(folder, `index-${next++}`)
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tunesmith-retrieval-'))
})
afterAll(() => rm(folder, { recursive: true }))

const documents: Document[] = [
  { id: 'a', text: 'Metformin lowers glucose in diabetes.', metadata: { year: 2001, kind: 'trial' } },
  { id: 'b', text: 'Aspirin after a stroke prevents another stroke.', metadata: { year: 2010, kind: 'trial' } },
  { id: "c'", text: 'Glucose glucose glucose: a review of sugar.', metadata: { year: 2015, kind: 'review' } },
  { id: 'd', text: 'A walk in the park lowers pressure.', metadata: { year: 2020 } },
]
const fields = { year: 'number', kind: 'string' } as const
const ids = (passages: readonly { document: string }[]) => passages.map(({ document }) => document)

/** Lucene's BM25 written out, over whole documents. */
function bm25(texts: Record<string, string>, query: string): [string, number][] {
  const words = (text: string) => text.toLowerCase().match(/\w+/g)!
  const bags = Object.entries(texts).map(([id, text]) => [id, words(text)] as const)
  const mean = bags.reduce((sum, [, bag]) => sum + bag.length, 0) / bags.length
  return bags
    .map(([id, bag]): [string, number] => [
      id,
      words(query).reduce((sum, word) => {
        const n = bags.filter(([, other]) => other.includes(word)).length
        const tf = bag.filter((each) => each === word).length
        const idf = Math.log(1 + (bags.length - n + 0.5) / (n + 0.5))
        return sum + (idf * tf) / (tf + 1.2 * (0.25 + (0.75 * bag.length) / mean))
      }, 0),
    ])
    .filter(([, score]) => score > 0)
    .sort((a, b) => b[1] - a[1])
}
const textsOf = (list: readonly Document[]) => Object.fromEntries(list.map(({ id, text }) => [id, text]))

describe('an index', () => {
  it('scores as the formula says, also when a question repeats a word, and after every kind of change', async () => {
    const index = await createIndex(fresh())
    await index.add(documents)
    const check = async (list: Document[], query: string) => {
      const found = await index.search(query)
      const wanted = bm25(textsOf(list), query)
      expect(ids(found)).toEqual(wanted.map(([id]) => id))
      found.forEach(({ score }, i) => {
        expect(score).toBeCloseTo(wanted[i]![1], 5)
      })
    }
    await check(documents, 'glucose glucose stroke lowers the pressure')
    const changed = [...documents.slice(0, 2), { ...documents[2]!, text: 'Sugar and glucose.' }]
    const report = await index.add([...changed, { id: 'e', text: 'Glucose, aspirin and a park.' }], { prune: true })
    expect(report).toMatchObject({ added: 1, updated: 1, unchanged: 2, removed: 1, chunks: 2 })
    const now = [...changed, { id: 'e', text: 'Glucose, aspirin and a park.' }]
    await check(now, 'glucose stroke stroke aspirin pressure')
    await index.remove(['b', 'nobody'])
    await check(
      now.filter(({ id }) => id !== 'b'),
      'glucose stroke aspirin',
    )
    expect(index.size).toEqual({ documents: 3, chunks: 3 })
  })

  it('does nothing for documents that did not change, and says which it left out', async () => {
    const index = await createIndex(fresh())
    const more = [...documents, { id: 'copy', text: documents[0]!.text }, { id: 'blank', text: ' -- ' }]
    expect(await index.add(more)).toMatchObject({
      added: 4,
      duplicates: [{ id: 'copy', of: 'a' }],
      empty: ['blank'],
    })
    const { version } = index.settings.indexed!
    expect(await index.add(more)).toMatchObject({ added: 0, updated: 0, unchanged: 4, chunks: 0 })
    expect(index.settings.indexed!.version).toBe(version)
  })

  it('replaces a document whole when it gets shorter or longer', async () => {
    const index = await createIndex(fresh(), { chunk: { maxTokens: 4, overlap: 0 } })
    const long = 'One two three. Four five six. Seven eight nine.'
    await index.add([...documents.slice(0, 1), { id: 'x', text: long }])
    expect(index.size.chunks).toBe(5)
    await index.add([{ id: 'x', text: 'Ten.' }])
    expect(index.size).toEqual({ documents: 2, chunks: 3 })
    expect(await index.search('seven')).toEqual([])
    expect((await index.search('ten')).map(({ id }) => id)).toEqual(['x#0'])
  })

  it('filters, explains, fuses, takes one passage per document, and diversifies', async () => {
    const index = await createIndex(fresh(), { fields, embedder: hashEmbedder() })
    await index.add(documents)
    expect(ids(await index.search('glucose', { mode: 'bm25', where: { year: { from: 2010 } } }))).toEqual(["c'"])
    expect(ids(await index.search('glucose', { where: { kind: ['trial'], year: { to: 2005 } } }))).toEqual(['a'])
    expect(ids(await index.search('glucose', { mode: 'dense', where: { document: "c'" } }))).toEqual(["c'"])
    await expect(index.search('x', { where: { yaer: 1 } })).rejects.toThrow(/no field "yaer"/)
    const [first] = await index.search('aspirin stroke', { explain: true })
    expect(first!.explanation).toMatchObject({
      bm25: { rank: 1 },
      dense: { rank: 1 },
      fused: { rank: 1 },
      reranked: null,
    })
    expect(first!.explanation!.fused!.score).toBeCloseTo(2 / 61)
    expect(first!.metadata).toEqual({ year: 2010, kind: 'trial' })
    const reranked = await index.search('lowers', {
      mode: 'bm25',
      rerank: async (_, texts) => texts.map((text) => (text.includes('walk') ? 1 : 0)),
      explain: true,
    })
    expect(reranked[0]).toMatchObject({ document: 'd', score: 1, explanation: { reranked: { rank: 1 } } })
    expect(ids(await index.search('glucose lowers', { mmr: 0.5, k: 2, mode: 'bm25' }))).toHaveLength(2)
    await expect(index.search('x', { k: 0 })).rejects.toThrow(/search/)
  })

  it('gives dense scores that are cosines', async () => {
    const embedder = hashEmbedder()
    const index = await createIndex(fresh(), { embedder })
    await index.add(documents)
    const [best] = await index.search(documents[3]!.text, { mode: 'dense' })
    expect(best!.document).toBe('d')
    expect(best!.score).toBeCloseTo(1, 5)
  })

  it('learns a weight and keeps it', async () => {
    const place = fresh()
    const index = await createIndex(place, { embedder: hashEmbedder() })
    await index.add(documents)
    const { weight, curve } = await index.fit([{ question: 'aspirin', documents: ['b'] }])
    expect(curve).toHaveLength(101)
    expect(curve.find((each) => each.weight === weight)!.mrr).toBe(1)
    const again = await openIndex(place, { embedder: hashEmbedder() })
    expect(again.settings.weight).toBe(weight)
    await expect(index.fit([])).rejects.toThrow(/no question/)
  })

  it('masks before anything is stored', async () => {
    const index = await createIndex(fresh())
    const { masked } = await index.add([{ id: 'x', text: 'Seen by Dr. Miller on 2020-01-02 for asthma.' }], {
      mask: [MASKS.names, MASKS.dates],
    })
    expect(masked).toEqual({ documents: 1, counts: { name: 1, date: 1 } })
    expect((await index.search('asthma'))[0]!.text).toBe('Seen by Dr. [NAME] on [DATE] for asthma.')
    expect(await index.search('miller')).toEqual([])
  })

  it('lets readers see the last whole version while a writer is at work', async () => {
    const place = fresh()
    const writer = await createIndex(place)
    await writer.add(documents)
    let begun = () => {}
    let goOn = () => {}
    const writing = new Promise<void>((resolve) => {
      begun = resolve
    })
    const read = new Promise<void>((resolve) => {
      goOn = resolve
    })
    async function* slowly() {
      yield { id: 'new', text: 'Novel aspirin.' }
      begun()
      await read
    }
    const added = writer.add(slowly())
    await writing
    const reader = await openIndex(place)
    expect(ids(await reader.search('aspirin'))).toEqual(['b'])
    await expect(reader.add([{ id: 'y', text: 'y' }])).rejects.toThrow(/in use by process/)
    goOn()
    await added
    expect(ids(await writer.search('aspirin')).sort()).toEqual(['b', 'new'])
  })

  it('keeps what was committed when the source fails, and goes on', async () => {
    const place = fresh()
    const index = await createIndex(place)
    await index.add(documents)
    const failing = [...documents, { id: 'n', text: 'new one' }, { id: 'a', text: 'twice' }]
    await expect(index.add(failing)).rejects.toThrow(/Two documents have the same id \(document a\)/)
    expect(ids(await index.search('metformin'))).toEqual(['a'])
    const { size } = await openIndex(place)
    expect(size.documents).toBe(4)
  })
})

describe('bad input', () => {
  it('is refused with one clear error each', async () => {
    const place = fresh()
    await expect(openIndex(join(folder, 'nowhere'))).rejects.toThrow(/no such file or folder/)
    await mkdir(join(folder, 'empty'))
    await expect(openIndex(join(folder, 'empty'))).rejects.toThrow(/There is no index/)
    await writeFile(join(folder, 'file'), 'x')
    await expect(createIndex(join(folder, 'file'))).rejects.toThrow(/an index is a folder/)
    const index = await createIndex(place, { embedder: hashEmbedder(), fields })
    await expect(index.search('x')).rejects.toThrow(/never finished/)
    await expect(index.add([])).rejects.toThrow(/nothing to index/)
    await expect(index.add([{ id: 'x', text: '...' }])).rejects.toThrow(/nothing to index/)
    await expect(index.add([{ id: 'x', text: 'x', metadata: { year: 'old' } }])).rejects.toThrow(/"year" is "old"/)
    await expect(index.add([{ id: '', text: 'x' }])).rejects.toThrow(/no id/)
    await index.add(documents)
    await expect(openIndex(place, { embedder: hashEmbedder(16) })).rejects.toThrow(/hash-32 .* this one is hash-16/)
    await expect(
      createIndex(place, { embedder: hashEmbedder(), fields, chunk: { maxTokens: 9, overlap: 1 } }),
    ).rejects.toThrow(/other settings: chunk/)
    const words = await openIndex(place)
    expect(ids(await words.search('aspirin'))).toEqual(['b'])
    await expect(words.search('x', { mode: 'dense' })).rejects.toThrow(/needs its embedder, hash-32/)
    await expect(words.add([])).rejects.toThrow(/needs its embedder/)
    await expect(createIndex(fresh(), { chunk: { maxTokens: 5, overlap: 5 } })).rejects.toThrow(/overlap/)
    const broken = await createIndex(fresh(), { embedder: { ...hashEmbedder(), dimensions: 31 } })
    await expect(broken.add(documents)).rejects.toThrow(/32 dimensions and not 31/)
  })

  it('a lock of another process is respected, one of a dead process is taken over', async () => {
    const place = fresh()
    const index = await createIndex(place)
    await withFolderLock(place, async () => undefined)
    await writeFile(
      join(place, FOLDER_LOCK),
      JSON.stringify({ pid: 999_999_999, host: (await import('node:os')).hostname(), nonce: 'ab' }),
    )
    await index.add(documents)
    await writeFile(join(place, FOLDER_LOCK), JSON.stringify({ pid: 1, host: 'elsewhere', nonce: 'ab' }))
    await expect(index.add([{ id: 'z', text: 'z' }])).rejects.toThrow(/in use by process 1 on elsewhere/)
    expect(ids(await (await openIndex(place)).search('aspirin'))).toEqual(['b'])
  })
})
