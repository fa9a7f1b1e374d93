import type { LengthSummary, TokenizedExample } from '@tunesmith/datasets'
import { summarizeLengths } from '@tunesmith/datasets'

/** How long tokenized examples are, for a histogram. */
export function lengthsOf(examples: readonly Pick<TokenizedExample, 'inputIds'>[]): LengthSummary {
  return summarizeLengths(examples.map(({ inputIds }) => inputIds.length))
}
