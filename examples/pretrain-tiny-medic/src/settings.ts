import { fileURLToPath } from 'node:url'

/** Everything that decides what comes out: the same settings give the same corpus, tokenizer and weights. */
export const settings = {
  seed: 2026,
  vocabularySize: 2048,
  maxPositions: 1024,
  /** The first documents, on which the tokenizer is trained. */
  tokenizerDocuments: 12_000,
  /** Each is seen once, in order: about 3.4 million tokens. */
  trainDocuments: 17_000,
  /** Prose with numbers that training never reaches, to measure perplexity on. */
  validation: { start: 1_000_000, documents: 150 },
} as const

/** Where config, tokenizer and weights lie. */
export const modelFolder = fileURLToPath(new URL('../model/', import.meta.url))
