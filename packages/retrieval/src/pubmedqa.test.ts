import { readFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gunzipSync } from 'node:zlib'
import { sharedPath } from '@tunesmith/tooling/shared'
import { expect, it } from 'vitest'
import { readDocuments } from './documents/read'
import { createIndex } from './index/retrieval-index'

const data = sharedPath('data/pubmedqa')

it.skipIf(!data)('finds the ten abstracts that bm25s finds, for every question', { timeout: 120_000 }, async () => {
  const file = new URL('fixtures/bm25s-pubmedqa.json.gz', import.meta.url)
  const wanted: Record<string, [ids: string[], scores: number[]]> = JSON.parse(
    gunzipSync(readFileSync(file)).toString(),
  )
  const rows: Record<string, { QUESTION: string }> = JSON.parse(readFileSync(join(data!, 'ori_pqal.json'), 'utf8'))
  const folder = await mkdtemp(join(tmpdir(), 'tunesmith-pubmedqa-'))
  const index = await createIndex(join(folder, 'index'), { chunk: { maxTokens: 100_000, overlap: 0 } })
  await index.add(readDocuments(join(data!, 'ori_pqal.json')))
  let [first, reciprocal, worst] = [0, 0, 0]
  for (const [id, { QUESTION }] of Object.entries(rows)) {
    const [ids, scores] = wanted[id]!
    const found = await index.search(QUESTION, { k: 10 })
    expect(found).toHaveLength(10)
    found.forEach(({ document, score }, i) => {
      worst = Math.max(worst, Math.abs(score / scores[i]! - 1))
      // Either library may put equal scores in any order; an eleventh may be equal to the tenth.
      const equal = ids.filter((_, j) => Math.abs(scores[j]! - scores[i]!) < 2e-5)
      expect(equal).toContain(document)
    })
    const rank = found.findIndex(({ document }) => document === id) + 1
    if (rank === 1) first++
    if (rank > 0) reciprocal += 1 / rank
  }
  expect(worst).toBeLessThan(1e-5)
  expect(first).toBeGreaterThanOrEqual(930)
  expect(reciprocal).toBeGreaterThanOrEqual(950)
  console.info(`recall@1 ${first / 1000}, MRR@10 ${reciprocal / 1000}, largest relative difference of a score ${worst}`)
  await rm(folder, { recursive: true })
})
