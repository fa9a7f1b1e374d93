import { join } from 'node:path'
import { stringifyJson, writeFileAtomic } from '@tunesmith/core'
import { type CausalLM, generationConfig, savePretrained } from '@tunesmith/models'
import { type PeftModel, savePeftModel } from '@tunesmith/peft-lora'
import type { Tokenizer } from '@tunesmith/tokenization'

interface Trained {
  model: CausalLM
  peft: PeftModel | undefined
  tokenizer: Tokenizer | undefined
}

/**
 * Saves an adapter in PEFT's layout, or a whole model, with the tokenizer and a generation_config.json that ends answers where
 * training ended turns; servers that load an adapter can be pointed at it (vLLM's `--generation-config`).
 */
export async function saveTrained(folder: string, { model, peft, tokenizer }: Trained): Promise<void> {
  if (!peft) return savePretrained(model, folder, tokenizer ? { tokenizer } : {})
  await savePeftModel(peft, folder)
  if (!tokenizer) return
  const generation = `${stringifyJson(generationConfig(model, tokenizer), 2)}\n`
  await writeFileAtomic(join(folder, 'generation_config.json'), generation)
  await tokenizer.save(folder)
}
