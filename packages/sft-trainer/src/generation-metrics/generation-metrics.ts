import { join } from 'node:path'
import { invalidData, invalidOptions, Random, writeFileAtomic } from '@tunesmith/core'
import { type Dataset, type ExampleRow, formatDataset } from '@tunesmith/datasets'
import { answerPrompts, type CausalLM } from '@tunesmith/models'
import { buildPrompt, type Prompt, type Tokenizer } from '@tunesmith/tokenization'
import type { TrainingConfig } from '../config'
import type { FormattingFunc } from '../data/prepare'
import { metricKey } from '../loop/best-metric'
import { generationScores } from './scores'

/** All arrays have one element per answered row, in the order of the rows. */
export interface ComputeMetricsInput {
  prompts: string[]
  predictions: string[]
  references: string[]
  /** The rows as they are in the dataset, with all their columns. */
  rows: Record<string, unknown>[]
}

/** Scores answers; what it returns is logged as `eval` and the name: `{ accuracy }` as `evalAccuracy`. */
export type ComputeMetrics = (input: ComputeMetricsInput) => Record<string, number> | Promise<Record<string, number>>

export interface GenerationSample {
  prompt: string
  reference: string
  prediction: string
}

export interface GenerationResult {
  /** `evalRougeL`, `evalBleu`, `evalExactMatch`, `evalGenLen` (tokens per answer), and those of `computeMetrics`. */
  metrics: Record<string, number>
  samples: GenerationSample[]
  /** Prompts that were too long, and why the samples could not be written; absent when there is nothing to say. */
  notice?: string
}

/** A prompt and where it comes from. */
interface EvalPrompt extends Prompt {
  index: number
  /** The prompt as the model sees it. */
  text: string
}

export interface GenerationMetricsOptions {
  dataset: Dataset
  tokenizer: Tokenizer
  config: TrainingConfig
  formattingFunc?: FormattingFunc | undefined
  /** In addition to `generationMetrics` of the config. */
  computeMetrics?: ComputeMetrics | undefined
}

export interface GenerationMetrics {
  /**
   * Answers the sampled prompts, scores the answers, and writes `generations/step-N.jsonl` in `outputDir`.
   *
   * @param stopped asked between batches; true ends it without a result.
   */
  run(model: CausalLM, context: { step: number; stopped?: () => boolean }): Promise<GenerationResult | undefined>
}

/**
 * Generation metrics of an evaluation: a fixed sample of rows, drawn with the config's seed, is answered greedily in batches
 * within a token budget.
 *
 * @throws {TunesmithError} `invalid_data` when no row has a prompt and a reference.
 */
export function createGenerationMetrics(options: GenerationMetricsOptions): GenerationMetrics {
  const { dataset, tokenizer, config, formattingFunc, computeMetrics } = options
  let prompts: EvalPrompt[] | undefined
  let passedOver: string | undefined

  function sample(model: CausalLM): EvalPrompt[] {
    const formatted = formatDataset(dataset, { formattingFunc }).dataset as Dataset<ExampleRow>
    const order = new Random(config.seed, 'generation sample').shuffle(
      Array.from({ length: dataset.length }, (_, i) => i),
    )
    const maxLength = Math.max(1, model.config.maxPositionEmbeddings - config.generationMaxNewTokens)
    const found: EvalPrompt[] = []
    const tooLong: number[] = []
    for (const index of order) {
      if (found.length === config.generationSampleSize) break
      const prompt = buildPrompt(tokenizer, formatted.at(index))
      if (!prompt || prompt.ids.length === 0) continue
      if (prompt.ids.length > maxLength) tooLong.push(index)
      else found.push({ ...prompt, index, text: tokenizer.decode(prompt.ids) })
    }
    if (tooLong.length > 0)
      passedOver = `${tooLong.length} evaluation prompts of more than ${maxLength} tokens are not asked, the first in ${dataset.where(tooLong[0]!) ?? `row ${tooLong[0]}`}`
    if (found.length > 0) return found.sort((a, b) => a.index - b.index)
    throw invalidData('No evaluation row has a prompt to answer and a reference to compare with', {
      where: 'evalDataset',
      remedy: `Use rows with prompt and completion, or messages that end with the assistant, of at most ${maxLength} tokens; or set predictWithGenerate to false`,
    })
  }

  return {
    async run(model, { step, stopped = () => false }) {
      prompts ??= sample(model)
      const ids = prompts.map((prompt) => prompt.ids)
      const answers = await answerPrompts(model, tokenizer, ids, {
        maxNewTokens: config.generationMaxNewTokens,
        batchSize: config.generationBatchSize,
        tokenBudget: config.generationTokenBudget,
        stopped,
      })
      if (!answers) return undefined
      const predictions = answers.map(({ text }) => text)
      const references = prompts.map(({ reference }) => reference.trim())
      const metrics: Record<string, number> = {
        ...generationScores(config.generationMetrics, { predictions, references }),
        evalGenLen: answers.reduce((sum, { tokens }) => sum + tokens.length, 0) / answers.length,
        ...(await ownMetrics(prompts, predictions, references)),
      }
      const samples = prompts.map(({ text }, i) => ({
        prompt: text,
        reference: references[i]!,
        prediction: predictions[i]!,
      }))
      const path = join(config.outputDir, 'generations', `step-${step}.jsonl`)
      const lines = samples.map((line) => `${JSON.stringify(line)}\n`).join('')
      const unwritten = await writeFileAtomic(path, lines).then(
        () => undefined,
        // A full disk must not end a training.
        (error: Error) => `The generated answers could not be written: ${error.message}`,
      )
      const notice = [passedOver, unwritten].filter((line) => line !== undefined).join('; ') || undefined
      passedOver = undefined // once is enough
      return { metrics, samples, ...(notice === undefined ? {} : { notice }) }
    },
  }

  async function ownMetrics(asked: EvalPrompt[], predictions: string[], references: string[]) {
    if (!computeMetrics) return {}
    const own = await computeMetrics({
      prompts: asked.map(({ text }) => text),
      predictions,
      references,
      rows: asked.map(({ index }) => dataset.at(index)),
    })
    return Object.fromEntries(
      Object.entries(own).map(([name, value]) => {
        if (typeof value === 'number') return [metricKey(name), value]
        throw invalidOptions(`computeMetrics returned ${typeof value} for "${name}"`, {
          where: 'computeMetrics',
          remedy: 'Return an object of numbers',
        })
      }),
    )
  }
}

type Given = Partial<Pick<GenerationMetricsOptions, 'tokenizer' | 'formattingFunc' | 'computeMetrics'>> & {
  evalDataset?: Dataset | readonly unknown[]
}

/**
 * The generation metrics a trainer was asked for, if it was.
 *
 * @throws {TunesmithError} `invalid_options` when there is no text to ask with.
 */
export function generationMetricsOf(given: Given, config: TrainingConfig): GenerationMetrics | undefined {
  const { computeMetrics, evalDataset, tokenizer, formattingFunc } = given
  if ((!config.predictWithGenerate && !computeMetrics) || !evalDataset) return undefined
  if (tokenizer && !Array.isArray(evalDataset)) {
    const dataset = evalDataset as Dataset
    return createGenerationMetrics({ dataset, tokenizer, config, formattingFunc, computeMetrics })
  }
  throw invalidOptions('Answers to evaluation prompts need rows of text and a tokenizer', {
    where: computeMetrics ? 'computeMetrics' : 'predictWithGenerate',
    remedy: 'Pass `tokenizer`, and an evalDataset that is not tokenized',
  })
}
