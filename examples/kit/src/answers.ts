import type { Message } from '@tunesmith/core'
import { type AnswerOptions, answerPrompts, type CausalLM } from '@tunesmith/models'
import { promptIds, type Tokenizer } from '@tunesmith/tokenization'

/** A question as text that is continued, or as a conversation that the chat template renders. */
export type Prompt = string | Message[]

/** Answers in the order of the prompts, and how many of them ran into the length limit. */
export async function answerAll(
  model: CausalLM,
  tokenizer: Tokenizer,
  prompts: readonly Prompt[],
  options: AnswerOptions,
): Promise<{ answers: string[]; cut: number }> {
  const ids = prompts.map((prompt) => promptIds(tokenizer, prompt))
  const answers = (await answerPrompts(model, tokenizer, ids, options))!
  return { answers: answers.map(({ text }) => text), cut: answers.filter(({ finish }) => finish === 'length').length }
}
