/**
 * Searches per second over 50,000 passages, against rank-bm25 and bm25s in Python; then 200,000 chunks: how long they take to build,
 * the time of hybrid searches, and memory. Texts are made up, with few frequent and many rare words. Ours answers with the passages' texts
 * from the disk, the peers with row numbers from memory; the ten best scores are compared with bm25s'. bm25s runs without numba. Vectors of the
 * second part are made up too, 384 numbers around 500 centres, so that no embedder is measured. --passages, --chunks and --queries are
 * other sizes.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { interleaved, pythonVenv, row, speedRow, startWorker } from './lib/index.mjs'
import { question, words } from './lib/made-texts.mjs'

const own = (...args) => startWorker(process.execPath, [new URL('retrieval.ours.mjs', import.meta.url), ...args])

/** Fails unless both found ten passages of the same scores. */
function compare(ours, theirs) {
  ours.forEach((scores, i) => {
    const differ = scores.findIndex((score, j) => Math.abs(score / theirs[i][j] - 1) > 1e-4)
    if (scores.length !== theirs[i].length || differ !== -1)
      throw new Error(`question ${i}: ours scores ${scores[differ]}, bm25s ${theirs[i][differ]}`)
  })
}

async function againstPeers(folder, { rounds, passages, queries }) {
  const texts = join(folder, 'texts.json')
  const questions = Array.from({ length: queries }, (_, i) => question(i))
  writeFileSync(texts, JSON.stringify({ passages: Array.from({ length: passages }, (_, i) => words(i)), questions }))
  const ours = own(join(folder, 'small'))
  const python = startWorker(await pythonVenv(['rank-bm25', 'bm25s', 'numpy']), [
    new URL('retrieval.peer.py', import.meta.url),
    texts,
  ])
  try {
    const built = {
      ours: (await ours.call({ call: 'build', chunks: passages })).seconds,
      peers: {
        'rank-bm25': (await python.call({ call: 'build', library: 'rank-bm25' })).seconds,
        bm25s: (await python.call({ call: 'build', library: 'bm25s' })).seconds,
      },
    }
    // rank-bm25 takes seconds for what the others do in one.
    const few = Math.ceil(queries / 20)
    const search = (library, count) => async () => {
      const { seconds } = await python.call({ call: 'search', library, count })
      return (seconds * queries) / count
    }
    let scores = { ours: [], bm25s: [] }
    const {
      ours: seconds,
      together,
      ...peers
    } = await interleaved(
      {
        ours: async () => (await ours.call({ call: 'search', queries })).seconds,
        together: async () => (await ours.call({ call: 'search', queries, together: 8 })).seconds,
        'rank-bm25': search('rank-bm25', few),
        bm25s: search('bm25s', queries),
      },
      { rounds },
    )
    scores = {
      ours: (await ours.call({ call: 'scores', queries: 50 })).scores,
      bm25s: (await python.call({ call: 'scores', count: 50 })).scores,
    }
    compare(scores.ours, scores.bm25s)
    const name = `${passages} passages`
    const one = (peer) => ({ peers: { [peer]: peers[peer] }, amount: queries, unit: 'queries/s' })
    return [
      speedRow({ case: `${name}, built`, seconds: built, peers: built.peers, amount: passages, unit: 'passages/s' }),
      speedRow({ case: `${name}, one question at a time`, seconds: { ours: seconds }, ...one('rank-bm25') }),
      speedRow({ case: 'the same', seconds: { ours: seconds }, ...one('bm25s') }),
      speedRow({ case: `${name}, 8 at a time`, seconds: { ours: together }, ...one('bm25s') }),
    ]
  } finally {
    ours.close()
    python.close()
  }
}

/** Each step in a process of its own, for its memory. */
async function large(folder, { chunks, queries }) {
  const step = async (name, dimensions, message) => {
    const worker = own(join(folder, name), ...(dimensions ? [dimensions] : []))
    try {
      const answer = await worker.call(message)
      return { ...answer, memory: worker.peakMemory() }
    } finally {
      worker.close()
    }
  }
  const plain = await step('plain', 0, { call: 'build', chunks })
  const vectors = await step('vectors', 384, { call: 'build', chunks })
  const bm25 = await step('plain', 0, { call: 'latency', queries, mode: 'bm25' })
  const hybrid = await step('vectors', 384, { call: 'latency', queries, mode: 'hybrid' })
  const recall = await step('vectors', 384, { call: 'recall', queries })
  const name = `${chunks} chunks`
  const figure = (text, ours, unit, memory) =>
    row({ case: `${name}, ${text}`, ours, unit, lowerIsBetter: true, oursMemory: memory })
  return [
    figure('built', plain.seconds, 's', plain.memory),
    figure('built with vectors', vectors.seconds, 's', vectors.memory),
    figure('bm25, median', bm25.p50 * 1000, 'ms', bm25.memory),
    figure('bm25, 95%', bm25.p95 * 1000, 'ms', bm25.memory),
    figure('hybrid, median', hybrid.p50 * 1000, 'ms', hybrid.memory),
    figure('hybrid, 95%', hybrid.p95 * 1000, 'ms', hybrid.memory),
    row({ case: `${name}, dense recall@10 of an exact search`, ours: recall.recall, unit: '' }),
  ]
}

export async function run({ rounds = 3, passages = 50_000, chunks = 200_000, queries = 400 } = {}) {
  const folder = mkdtempSync(join(tmpdir(), 'tunesmith-bench-'))
  try {
    const rows = passages > 0 ? await againstPeers(folder, { rounds, passages, queries }) : []
    if (chunks > 0) rows.push(...(await large(folder, { chunks, queries })))
    return { rows }
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}
