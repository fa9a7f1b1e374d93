import { createProgress } from '@tunesmith/core'
import { type CausalLM, generateText } from '@tunesmith/models'
import type { Message, Tokenizer } from '@tunesmith/tokenization'

/** A question as text that is continued, or as a conversation that the chat template renders. */
export type Prompt = string | Message[]

/** Options of `generateText`; answers are greedy unless `doSample` is set, whatever the model's own defaults are. */
export interface AnswerOptions extends NonNullable<Parameters<typeof generateText>[3]> {
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

/** Answers in the order of the prompts, and how many of them ran into the length limit. */
export async function answerAll(
  model: CausalLM,
  tokenizer: Tokenizer,
  prompts: readonly Prompt[],
  { label, batchSize = 32, ...options }: AnswerOptions,
): Promise<{ answers: string[]; cut: number }> {
  const progress = createProgress({ label, total: prompts.length })
  const answers: string[] = []
  let cut = 0
  for (let i = 0; i < prompts.length; i += batchSize) {
    const batch = prompts.slice(i, i + batchSize).map((prompt) => promptIds(tokenizer, prompt))
    for (const { text, finish } of await generateText(model, tokenizer, batch, { doSample: false, ...options })) {
      answers.push(text.trim())
      if (finish === 'length') cut++
    }
    progress.update(answers.length)
  }
  progress.finish()
  return { answers, cut }
}
