import type { Architecture } from './architecture'
import { gemma2 } from './gemma2'
import { llama } from './llama'
import { mistral } from './mistral'
import { phi3 } from './phi3'
import { qwen2 } from './qwen2'
import { qwen3 } from './qwen3'

const architectures = new Map<string, Architecture>(
  [llama, mistral, qwen2, qwen3, gemma2, phi3].map((a) => [a.modelType, a]),
)

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
