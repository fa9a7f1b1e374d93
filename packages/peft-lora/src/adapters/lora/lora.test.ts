import { testAdapter } from '../../testing'

const layer = 'base_model.model.model.layers.0'

testAdapter({
  name: 'LoRA on queries and values',
  config: { r: 4, loraAlpha: 8 },
  keys: ['q_proj', 'v_proj'].flatMap((name) =>
    ['lora_A.weight', 'lora_B.weight'].map((part) => `${layer}.self_attn.${name}.${part}`),
  ),
})
