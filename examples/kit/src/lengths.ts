import type { LengthSummary, TokenizedExample } from '@tunesmith/datasets'
import { Dataset, describe } from '@tunesmith/datasets'

/** How long tokenized examples are, for a histogram. */
export function lengthsOf(examples: readonly Pick<TokenizedExample, 'inputIds'>[]): LengthSummary {
  const rows = Dataset.fromRows(examples.map(({ inputIds }) => ({ text: String(inputIds.length) })))
  return describe(rows, { countTokens: Number }).lengths.parts.text!
}
