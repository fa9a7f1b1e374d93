import { LLAMA_MODULES } from '../gguf/layout'
import type { Architecture } from './architecture'
import { activationOf } from './config-parts'
import { llama } from './llama'
import { gemmaScale } from './parts'

/** Gemma 1 and CodeGemma: Llama with a gate through GELU, norm weights stored minus one, and embeddings scaled by the root of the width. */
export const gemma: Architecture = {
  ...llama,
  modelType: 'gemma',
  defaults: {
    vocab_size: 256_000,
    hidden_size: 3072,
    intermediate_size: 24_576,
    num_hidden_layers: 28,
    num_attention_heads: 16,
    num_key_value_heads: 16,
    head_dim: 256,
    max_position_embeddings: 8192,
    pad_token_id: 0,
    eos_token_id: 1,
    bos_token_id: 2,
    tie_word_embeddings: true,
  },
  knownKeys: { harmless: { 'transformers reads hidden_act alone': ['hidden_activation'] } },
  config(file) {
    const hiddenAct = activationOf(file, 'hidden_act', 'gelu_pytorch_tanh')
    // The first files say "gelu" and mean its approximation.
    return { hiddenAct: hiddenAct === 'gelu' ? 'gelu_tanh' : hiddenAct, attentionBias: file.flag('attention_bias') }
  },
  norm: { offset: 1 },
  embeddingScale: gemmaScale,
  gguf: { architecture: 'gemma', modules: LLAMA_MODULES },
}
