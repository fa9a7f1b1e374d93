import { createProgress } from '@tunesmith/core'
import { type CausalLM, type GenerateOptions, streamTokens } from '@tunesmith/models'
import type { ChatMessage, Tokenizer } from '@tunesmith/tokenization'

/** A question as text that is continued, or as a conversation that the chat template renders. */
export type Prompt = string | ChatMessage[]

export interface AnswerOptions extends Omit<GenerateOptions, 'signal'> {
  label: string
  /** Prompts answered together. Default 32. */
  batchSize?: number
}

export function promptIds(tokenizer: Tokenizer, prompt: Prompt): number[] {
  const chat = typeof prompt !== 'string'
  const text = chat ? tokenizer.applyChatTemplate(prompt, { addGenerationPrompt: true }) : prompt
  // A rendered chat already has its beginning-of-sequence token.
  return [...tokenizer.encode(text, { addSpecialTokens: !chat }).ids]
}

/** Answers in the order of the prompts, greedy unless told otherwise; how many ran into the length limit is counted. */
export async function answerAll(
  model: CausalLM,
  tokenizer: Tokenizer,
  prompts: readonly Prompt[],
  { label, batchSize = 32, ...options }: AnswerOptions,
): Promise<{ answers: string[]; cut: number; tokens: number; seconds: number }> {
  const { eosTokenId } = tokenizer
  const stopTokenIds = [...new Set([...model.config.eosTokenIds, ...(eosTokenId === undefined ? [] : [eosTokenId])])]
  const progress = createProgress({ label, total: prompts.length })
  const start = performance.now()
  const answers: string[] = []
  let [cut, tokens] = [0, 0]
  for (let i = 0; i < prompts.length; i += batchSize) {
    const batch = prompts.slice(i, i + batchSize).map((prompt) => promptIds(tokenizer, prompt))
    const outputs: number[][] = batch.map(() => [])
    for await (const { sequence, token, finish } of streamTokens(model, batch, { stopTokenIds, ...options })) {
      tokens++
      if (finish !== 'stop') outputs[sequence]!.push(token)
      if (finish === 'length') cut++
    }
    for (const ids of outputs) answers.push(tokenizer.decode(ids, { skipSpecialTokens: true }).trim())
    progress.update(answers.length)
  }
  progress.finish()
  return { answers, cut, tokens, seconds: (performance.now() - start) / 1000 }
}
