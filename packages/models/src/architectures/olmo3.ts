import { ropesByLayerType } from '../rope'
import type { Architecture } from './architecture'
import { layerTypes, slidingWindow } from './config-parts'
import { olmo2 } from './olmo2'

/** OLMo 3: OLMo 2 with a window in three of four layers, whose rotary positions are not stretched with those of the others. */
export const olmo3: Architecture = {
  ...olmo2,
  modelType: 'olmo3',
  defaults: { ...olmo2.defaults, sliding_window: 4096 },
  config(file, keys, warn) {
    const types = layerTypes(file, keys, (layer) => (layer + 1) % 4 !== 0)
    const headDim = keys.head_dim ?? keys.hidden_size / keys.num_attention_heads
    const surroundings = { headDim, maxPositionEmbeddings: keys.max_position_embeddings }
    // As in transformers, a base beside the parameters is that of the layers that see everything alone.
    const thetas = { full_attention: { theta: 500_000, key: 'rope_theta' }, sliding_attention: { theta: 500_000 } }
    const ropes = ropesByLayerType(file, surroundings, thetas, warn)
    const window = slidingWindow(file)
    return {
      attentionBias: file.flag('attention_bias'),
      rope: ropes.full_attention,
      layers: types.map((type) => ({ window: type === 'sliding_attention' ? window : 0, rope: ropes[type] })),
    }
  },
}
