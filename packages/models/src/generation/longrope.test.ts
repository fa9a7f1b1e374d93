import * as tf from '@tensorflow/tfjs-core'
import { selectBackend } from '@tunesmith/backend'
import { Random } from '@tunesmith/core'
import { expect, it } from 'vitest'
import { createModel, generate, packSequences } from '../index'

it('rotary positions that change with the length: answers with the cache are those of whole passes', async () => {
  await selectBackend()
  const model = createModel({
    model_type: 'phi3',
    vocab_size: 96,
    hidden_size: 32,
    intermediate_size: 32,
    num_hidden_layers: 2,
    num_attention_heads: 4,
    pad_token_id: 0,
    initializer_range: 0.4,
    max_position_embeddings: 256,
    original_max_position_embeddings: 12,
    rope_scaling: { type: 'longrope', short_factor: [1, 1, 1, 1], long_factor: [1, 3, 9, 27] },
  })
  const random = new Random(3)
  // Some become long on the way, at different times; some are long before.
  const prompts = Array.from({ length: 24 }, (_, i) => Array.from({ length: 6 + (i % 9) }, () => random.int(96)))
  const whole = prompts.map((prompt) => {
    const ids = [...prompt]
    for (let i = 0; i < 10; i++) {
      const best = tf.tidy(() => {
        const logits = model.logits(model.forward(packSequences([ids])))
        return tf.argMax(tf.slice(logits, [ids.length - 1, 0], [1, -1]), 1).dataSync()[0]!
      })
      ids.push(best)
    }
    return ids.slice(prompt.length)
  })
  expect(await generate(model, prompts, { maxNewTokens: 10, stopTokenIds: [], doSample: false })).toEqual(whole)
  model.dispose()
})
