import { z } from 'zod'
import { LLAMA_MODULES } from '../gguf/layout'
import { f32 } from '../gguf/values'
import type { Architecture } from './architecture'
import { llama } from './llama'

const multiplier = z.number().positive()

/** Granite 3 (dense): Llama with multipliers of embeddings, attention scores and what each half of a block adds, and a divisor of the logits. */
export const granite: Architecture = {
  ...llama,
  modelType: 'granite',
  defaults: { embedding_multiplier: 1, attention_multiplier: 1, residual_multiplier: 1, logits_scaling: 1 },
  config(file) {
    const { attention_multiplier, residual_multiplier, logits_scaling, embedding_multiplier } = file.read({
      embedding_multiplier: multiplier,
      attention_multiplier: multiplier,
      residual_multiplier: multiplier,
      logits_scaling: multiplier,
    })
    return {
      attentionBias: file.flag('attention_bias'),
      mlpBias: file.flag('mlp_bias'),
      embeddingScale: embedding_multiplier,
      attentionScale: attention_multiplier,
      residualScale: residual_multiplier,
      logitScale: 1 / logits_scaling,
    }
  },
  embeddingScale: ({ embeddingScale }) => embeddingScale,
  gguf: {
    architecture: 'granite',
    modules: LLAMA_MODULES,
    interleavedRotary: true,
    attentionScale: ({ attentionScale }) => attentionScale,
    metadata: ({ embeddingScale, attentionScale, residualScale, logitScale }) => ({
      embedding_scale: f32(embeddingScale),
      'attention.scale': f32(attentionScale),
      residual_scale: f32(residualScale),
      logit_scale: f32(1 / logitScale),
    }),
  },
}
