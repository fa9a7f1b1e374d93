/**
 * The shapes of the models in the full runs, as their config.json gives them, so that a plan needs no network. A full run
 * reads the real file.
 */
export const SHAPES = {
  'berkeley-nest/Starling-LM-7B-alpha': {
    model_type: 'mistral',
    vocab_size: 32002,
    hidden_size: 4096,
    intermediate_size: 14336,
    num_hidden_layers: 32,
    num_attention_heads: 32,
    num_key_value_heads: 8,
    max_position_embeddings: 8192,
  },
  'TinyLlama/TinyLlama-1.1B-Chat-v1.0': {
    model_type: 'llama',
    vocab_size: 32000,
    hidden_size: 2048,
    intermediate_size: 5632,
    num_hidden_layers: 22,
    num_attention_heads: 32,
    num_key_value_heads: 4,
    max_position_embeddings: 2048,
  },
  'unsloth/Meta-Llama-3.1-8B-bnb-4bit': {
    model_type: 'llama',
    vocab_size: 128256,
    hidden_size: 4096,
    intermediate_size: 14336,
    num_hidden_layers: 32,
    num_attention_heads: 32,
    num_key_value_heads: 8,
    max_position_embeddings: 131072,
  },
  'codellama/CodeLlama-7b-Instruct-hf': {
    model_type: 'llama',
    vocab_size: 32016,
    hidden_size: 4096,
    intermediate_size: 11008,
    num_hidden_layers: 32,
    num_attention_heads: 32,
    num_key_value_heads: 32,
    max_position_embeddings: 16384,
  },
} as const satisfies Record<string, Record<string, unknown>>
export type FullModel = keyof typeof SHAPES
