import { type CausalLM, generate } from '@tunesmith/models'
import type { Tokenizer } from '@tunesmith/tokenization'

/** The prompt and how the model goes on, the most likely token each time. */
export async function sampleText(model: CausalLM, tokenizer: Tokenizer, prompt: string): Promise<string> {
  const [continuation] = await generate(model, [tokenizer.encode(prompt).ids], { maxNewTokens: 160 })
  return prompt + tokenizer.decode(continuation!)
}
