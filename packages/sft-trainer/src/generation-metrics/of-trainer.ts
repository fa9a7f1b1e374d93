import { TunesmithError } from '@tunesmith/core'
import type { Dataset } from '@tunesmith/datasets'
import type { SFTConfig } from '../config'
import { createGenerationMetrics, type GenerationMetrics, type GenerationMetricsOptions } from './generation-metrics'

type Given = Partial<Pick<GenerationMetricsOptions, 'tokenizer' | 'formattingFunc' | 'computeMetrics'>> & {
  evalDataset?: Dataset | readonly unknown[]
}

/**
 * The generation metrics a trainer was asked for, if it was.
 *
 * @throws {TunesmithError} `invalid_options` when there is no text to ask with.
 */
export function generationMetricsOf(given: Given, config: SFTConfig): GenerationMetrics | undefined {
  const { computeMetrics, evalDataset, tokenizer, formattingFunc } = given
  if ((!config.predictWithGenerate && !computeMetrics) || !evalDataset) return undefined
  if (tokenizer && !Array.isArray(evalDataset)) {
    const dataset = evalDataset as Dataset
    return createGenerationMetrics({ dataset, tokenizer, config, formattingFunc, computeMetrics })
  }
  throw new TunesmithError('Answers to evaluation prompts need rows of text and a tokenizer', {
    code: 'invalid_options',
    where: computeMetrics ? 'computeMetrics' : 'predictWithGenerate',
    remedy: 'Pass `tokenizer`, and an evalDataset that is not tokenized',
  })
}
