/** Shapes of the models that the CUDA benches make. */
import { TINY_LLAMA } from './random-model.mjs'

export const SHAPES = {
  'llama-3.1-8b': {
    model_type: 'llama',
    vocab_size: 128256,
    hidden_size: 4096,
    intermediate_size: 14336,
    num_hidden_layers: 32,
    num_attention_heads: 32,
    num_key_value_heads: 8,
    max_position_embeddings: 8192,
    rms_norm_eps: 1e-5,
    rope_theta: 500000,
  },
  tinyllama: TINY_LLAMA,
  // To try the benches on the emulator.
  toy: {
    model_type: 'llama',
    vocab_size: 512,
    hidden_size: 128,
    intermediate_size: 256,
    num_hidden_layers: 2,
    num_attention_heads: 2,
    num_key_value_heads: 1,
    max_position_embeddings: 512,
    rms_norm_eps: 1e-5,
  },
}
