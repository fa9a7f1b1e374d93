import type { Dataset } from '@tunesmith/datasets'
import type { CausalLM } from '@tunesmith/models'
import type { Tokenizer } from '@tunesmith/tokenization'
import { dpoConfig } from './config'
import { preparePairs } from './prepare'
import { type Answer, answerLogProbs } from './sequences'

export interface PreferenceAccuracyOptions {
  /** Longest sequence in tokens. Default 1024. */
  maxLength?: number
  /** As in `DPOConfig`. Default `plain`. */
  style?: 'chat' | 'plain'
  /** Pairs per batch. Default 8. */
  batchSize?: number
}

export interface PreferenceAccuracy {
  /** The share of pairs whose chosen answer is more likely per token than the rejected one. */
  accuracy: number
  /** The mean of by how much it is, in nats per token. */
  margin: number
  pairs: number
}

/**
 * How often a model finds the chosen answer of a pair more likely, per token. It asks no reference, so that a base model, a tuned one and
 * one trained on preferences can be compared.
 *
 * @throws {TunesmithError} `invalid_data` for rows that are no pairs.
 */
export async function preferenceAccuracy(
  model: CausalLM,
  tokenizer: Tokenizer,
  rows: Dataset,
  { maxLength = 1024, style = 'plain', batchSize = 8 }: PreferenceAccuracyOptions = {},
): Promise<PreferenceAccuracy> {
  const config = dpoConfig({ outputDir: '', maxLength, style, reportTo: [] })
  const { data } = await preparePairs(rows, { tokenizer, trainer: 'preferenceAccuracy' }, config)
  const margins: number[] = []
  for (let start = 0; start < data.rows.length; start += batchSize) {
    const answers = data.rows.slice(start, start + batchSize).flat() as Answer[]
    const perToken = answerLogProbs(model, answers).map((logp, i) => logp / Math.max(1, answers[i]!.answerTokens))
    for (let i = 0; i < perToken.length; i += 2) margins.push(perToken[i]! - perToken[i + 1]!)
    await new Promise<void>((resolve) => setImmediate(resolve))
  }
  const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length
  const accuracy = mean(margins.map((margin) => (margin > 0 ? 1 : 0)))
  return { accuracy, margin: mean(margins), pairs: margins.length }
}
