import { fileURLToPath } from 'node:url'

/** Everything that decides what comes out: the same settings give the same corpus, tokenizer and weights. */
export const settings = {
  seed: 2026,
  vocabularySize: 2048,
  maxPositions: 1024,
  /** The first documents, on which the tokenizer is trained. */
  tokenizerDocuments: 12_000,
  /** Documents held out from training, after the tokenizer's, to measure perplexity on. */
  validationDocuments: 200,
  /** Tokens to train on; each document is seen once. */
  trainTokens: 4_600_000,
} as const

/** Where config, tokenizer and weights lie. */
export const modelFolder = fileURLToPath(new URL('../model/', import.meta.url))
