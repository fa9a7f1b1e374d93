// Our side of retrieval.mjs: `FOLDER [DIMENSIONS]`, an index with vectors of so many dimensions, or none.
import { createIndex, openIndex } from '@tunesmith/retrieval'
import { question, vector, words } from './lib/made-texts.mjs'
import { serve } from './lib/serve.mjs'

const [folder, dimensions] = process.argv.slice(2)
// A passage's number stands in front of its text, since an embedder is given texts alone.
const numberOf = (text) => Number(/^\d+/.exec(text)?.[0] ?? text.length)
const embedder = dimensions && {
  name: 'made',
  dimensions: Number(dimensions),
  batchSize: 1024,
  embed: async (texts) => texts.map((text) => vector(numberOf(text), Number(dimensions))),
}
const options = embedder ? { embedder } : {}
let opened
const index = async () => {
  opened ??= await openIndex(folder, options)
  return opened
}
const timed = async (work) => {
  const start = performance.now()
  await work()
  return (performance.now() - start) / 1000
}

function* documents(count) {
  for (let i = 0; i < count; i++) yield { id: String(i), text: embedder ? `${i} ${words(i)}` : words(i) }
}

serve({
  async build({ chunks }) {
    const made = await createIndex(folder, { ...options, chunk: { maxTokens: 256, overlap: 32 } })
    const seconds = await timed(() => made.add(documents(chunks)))
    if (made.size.chunks !== chunks) throw new Error(`${made.size.chunks} chunks came of ${chunks} passages`)
    made.close()
    return { seconds }
  },
  async search({ queries, together = 1 }) {
    const at = await index()
    const run = async (from) => {
      for (let i = from; i < queries; i += together) await at.search(question(i), { mode: 'bm25' })
    }
    return { seconds: await timed(() => Promise.all(Array.from({ length: together }, (_, i) => run(i)))) }
  },
  async scores({ queries }) {
    const at = await index()
    const scores = []
    for (let i = 0; i < queries; i++)
      scores.push((await at.search(question(i), { mode: 'bm25' })).map(({ score }) => score))
    return { scores }
  },
  async latency({ queries, mode }) {
    const at = await index()
    for (let i = 0; i < 50; i++) await at.search(question(queries + i), { mode })
    const times = []
    for (let i = 0; i < queries; i++) times.push(await timed(() => at.search(question(i), { mode })))
    times.sort((a, b) => a - b)
    return { p50: times[Math.floor(queries / 2)], p95: times[Math.floor(queries * 0.95)] }
  },
  async recall({ queries }) {
    const at = await index()
    const dense = (i, options) => at.search(`${1e6 + i}`, { mode: 'dense', ...options })
    let found = 0
    for (let i = 0; i < queries; i++) {
      const exact = new Set((await dense(i, { exact: true })).map(({ id }) => id))
      found += (await dense(i)).filter(({ id }) => exact.has(id)).length / exact.size
    }
    return { recall: found / queries }
  },
})
