import { testAdapter } from '../../testing'

const PREFIX = 'base_model.model.model.layers.0'
const ATTENTION = ['q_proj', 'k_proj', 'v_proj', 'o_proj'].map((name) => `self_attn.${name}`)
const ALL = [...ATTENTION, ...['gate_proj', 'up_proj', 'down_proj'].map((name) => `mlp.${name}`)]
const keysOf = (modules: string[], parts = ['lora_A.weight', 'lora_B.weight']) =>
  modules.flatMap((name) => parts.map((part) => `${PREFIX}.${name}.${part}`))

const QV = ['self_attn.q_proj', 'self_attn.v_proj']

testAdapter({ name: 'LoRA', config: { r: 4, loraAlpha: 8 }, keys: keysOf(QV) })

testAdapter({
  name: 'rank-stabilised LoRA on all linears, with dropout and biases',
  config: { r: 4, loraAlpha: 8, targetModules: 'all-linear', useRslora: true, loraDropout: 0.1, bias: 'all' },
  keys: [
    ...keysOf(ALL),
    ...['q_proj', 'k_proj', 'v_proj'].map((name) => `${PREFIX}.self_attn.${name}.base_layer.bias`),
  ],
  model: { config: { model_type: 'qwen2' } },
})

testAdapter({
  name: 'DoRA',
  config: { r: 4, loraAlpha: 8, useDora: true, loraDropout: 0.1, targetModules: ['q_proj', 'down_proj'] },
  keys: keysOf(['self_attn.q_proj', 'mlp.down_proj'], ['lora_A.weight', 'lora_B.weight', 'lora_magnitude_vector']),
  inexactGradients: /lora_[AB]/,
})

testAdapter({
  name: 'LoRA beside a trained head and norms',
  config: { r: 2, modulesToSave: ['lm_head', 'model.norm'] },
  keys: [...keysOf(QV), 'base_model.model.lm_head.weight', 'base_model.model.model.norm.weight'],
})

testAdapter({
  name: 'LoRA on embeddings and head',
  config: { r: 2, targetModules: ['embed_tokens', 'lm_head', 'v_proj'] },
  keys: [
    ...['lora_embedding_A', 'lora_embedding_B'].map((part) => `base_model.model.model.embed_tokens.${part}`),
    ...keysOf(['self_attn.v_proj']),
    ...['lora_A.weight', 'lora_B.weight'].map((part) => `base_model.model.lm_head.${part}`),
  ],
})

testAdapter({
  name: 'DoRA on embeddings',
  config: { r: 2, useDora: true, targetModules: ['embed_tokens'] },
  keys: ['lora_embedding_A', 'lora_embedding_B', 'lora_magnitude_vector'].map(
    (part) => `base_model.model.model.embed_tokens.${part}`,
  ),
  inexactGradients: /lora_embedding/,
  quantized: [],
})

testAdapter({
  name: 'LoRA with trained tokens, shared with a tied head',
  config: { r: 2, trainableTokenIndices: [3, 9, 40] },
  keys: [...keysOf(QV), 'base_model.model.model.embed_tokens.token_adapter.trainable_tokens_delta'],
  model: { config: { tie_word_embeddings: true } },
})

testAdapter({
  name: 'PiSSA',
  config: { r: 4, initLoraWeights: 'pissa' },
  keys: keysOf(QV),
  keepsBase: false,
  quantized: [],
})

testAdapter({
  name: 'OLoRA',
  config: { r: 4, initLoraWeights: 'olora', loraAlpha: 4 },
  keys: keysOf(QV),
  keepsBase: false,
})
