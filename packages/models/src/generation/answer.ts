import { createProgress } from '@tunesmith/core'
import type { Tokenizer } from '@tunesmith/tokenization'
import type { CausalLM } from '../causal-lm'
import { REFUSED_SETTINGS } from './generation-config'
import { type GenerateTextOptions, streamText } from './text'

/** What is used where nothing else is said, by every program that asks a model about many rows. */
export const ANSWER_DEFAULTS = { maxNewTokens: 128, batchSize: 32, tokenBudget: 16_384 } as const

/** Those of `generateText`. Answers are greedy unless `doSample` is set, also where the model's own defaults are sampling or beam search. */
export interface AnswerOptions extends Omit<GenerateTextOptions, 'numReturnSequences' | 'adapterNames'> {
  /** Prompts answered together at most. Default 32. */
  batchSize?: number | undefined
  /** Tokens of a batch, answers included: what its key/value cache may hold. One prompt may exceed it. Default 16,384. */
  tokenBudget?: number | undefined
  /** Shows progress under this name. */
  label?: string | undefined
  /** Asked before each batch; true ends the work without a result. */
  stopped?: (() => boolean) | undefined
}

export interface Answer {
  /** Without white space around it. */
  text: string
  /** The new tokens, those that stopped it included. */
  tokens: number[]
  /** `length`: it reached `maxNewTokens`. `skipped`: the prompt is empty or fills the model's context, so it was not asked. */
  finish: 'stop' | 'length' | 'skipped'
}

/**
 * Groups prompts of like length, so that sequences times the longest of them, its answer included, stays within a budget.
 *
 * @returns indices of `lengths`, longest first: what does not run out of memory at once will not later.
 */
export function tokenBudgetBatches(
  lengths: ReadonlyMap<number, number>,
  { maxNewTokens, batchSize, tokenBudget }: { maxNewTokens: number; batchSize: number; tokenBudget: number },
): number[][] {
  const order = [...lengths.keys()].sort((a, b) => lengths.get(b)! - lengths.get(a)! || a - b)
  const batches: number[][] = []
  for (const index of order) {
    const batch = batches.at(-1)
    const longest = batch ? lengths.get(batch[0]!)! + maxNewTokens : 0
    if (batch && batch.length < batchSize && (batch.length + 1) * longest <= tokenBudget) batch.push(index)
    else batches.push([index])
  }
  return batches
}

/**
 * Answers many prompts in batches. The batches do not change the answers.
 *
 * @param prompts token ids, `[tokens]` each.
 * @returns an answer for each prompt, in their order; undefined when `stopped` said so.
 */
export async function answerPrompts(
  model: CausalLM,
  tokenizer: Tokenizer,
  prompts: readonly ArrayLike<number>[],
  options: AnswerOptions = {},
): Promise<Answer[] | undefined> {
  const { batchSize, tokenBudget, label, stopped, ...generation } = { ...ANSWER_DEFAULTS, ...options }
  const context = model.config.maxPositionEmbeddings
  const answers = prompts.map((): Answer => ({ text: '', tokens: [], finish: 'skipped' }))
  const lengths = new Map(
    [...prompts.entries()].map(([i, { length }]) => [i, length] as const).filter(([, n]) => n > 0 && n < context),
  )
  const progress = label === undefined ? undefined : createProgress({ label, total: prompts.length })
  let finished = prompts.length - lengths.size
  for (const batch of tokenBudgetBatches(lengths, { ...generation, batchSize, tokenBudget })) {
    if (stopped?.()) return undefined
    const start = performance.now()
    let tokens = 0
    const asked = batch.map((i) => prompts[i]!)
    // The model's own way of searching is none of the caller's business, as its sampling is not.
    const options = { doSample: false, ignoreSettings: REFUSED_SETTINGS, ...generation }
    for await (const piece of streamText(model, tokenizer, asked, options)) {
      const answer = answers[batch[piece.sequence]!]!
      answer.text += piece.text
      answer.tokens.push(piece.token)
      tokens++
      if (piece.finish) {
        answer.finish = piece.finish
        answer.text = answer.text.trim()
        finished++
      }
      progress?.update(finished, `${Math.round(tokens / ((performance.now() - start) / 1000))} tok/s`)
    }
  }
  progress?.finish()
  return answers
}
