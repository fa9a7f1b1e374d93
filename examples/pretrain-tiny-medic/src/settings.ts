import { fileURLToPath } from 'node:url'

/** Everything that decides what comes out: the same settings give the same corpus, tokenizer and weights. */
export const settings = {
  seed: 2026,
  vocabularySize: 2048,
  /** Documents that the tokenizer is trained on. */
  tokenizerDocuments: 12_000,
}

/** Where config, tokenizer and weights lie. */
export const modelFolder = fileURLToPath(new URL('../model/', import.meta.url))
