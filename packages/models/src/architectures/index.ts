import type { Architecture } from './architecture'
import { cohere2 } from './cohere2'
import { gemma } from './gemma'
import { gemma2 } from './gemma2'
import { gemma3Text } from './gemma3_text'
import { gptNeox } from './gpt_neox'
import { gpt2 } from './gpt2'
import { granite } from './granite'
import { llama } from './llama'
import { ministral3 } from './ministral3'
import { mistral } from './mistral'
import { mixtral } from './mixtral'
import { olmo2 } from './olmo2'
import { olmo3 } from './olmo3'
import { phi3 } from './phi3'
import { qwen2 } from './qwen2'
import { qwen3 } from './qwen3'
import { qwen3Moe } from './qwen3_moe'
import { smollm3 } from './smollm3'
import { starcoder2 } from './starcoder2'

const all: readonly Architecture[] = [
  ...[llama, mistral, ministral3, qwen2, qwen3, gemma, gemma2, gemma3Text, phi3, smollm3, olmo2, olmo3, granite],
  ...[cohere2, starcoder2, gpt2, gptNeox, qwen3Moe, mixtral],
]
const architectures = new Map(all.map((architecture) => [architecture.modelType, architecture]))

/** Adds a model family; a later one of the same name replaces the earlier. */
export function registerArchitecture(architecture: Architecture): void {
  architectures.set(architecture.modelType, architecture)
}

export function architectureNames(): string[] {
  return [...architectures.keys()]
}

/** The architecture of a `model_type` that {@link architectureNames} lists. */
export function architectureOf(modelType: string): Architecture {
  return architectures.get(modelType)!
}
