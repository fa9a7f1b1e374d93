import * as tf from '@tensorflow/tfjs-core'
import { selectBackend } from '@tunesmith/backend'
import { Random } from '@tunesmith/core'
import { collate, type PackedBatch, packExamples } from '@tunesmith/datasets'
import { createModel } from '@tunesmith/models'
import { getPeftModel, type PeftConfigOptions } from '@tunesmith/peft-lora'
import { beforeAll, describe, expect, it } from 'vitest'
import { forwardBackward } from './micro-batch'
import { sftObjective } from './objective'

const config = {
  model_type: 'qwen2',
  vocab_size: 48,
  hidden_size: 32,
  intermediate_size: 48,
  num_hidden_layers: 3,
  num_attention_heads: 4,
  num_key_value_heads: 2,
  max_position_embeddings: 128,
  initializer_range: 0.2,
}

const adapters: Record<string, PeftConfigOptions> = {
  LoRA: { r: 4, targetModules: 'all-linear', loraDropout: 0.1 },
  'LoRA with a trained head and biases': { r: 4, modulesToSave: ['lm_head'], bias: 'all' },
  'LoRA on embeddings and head': { r: 4, targetModules: ['embed_tokens', 'lm_head'] },
  DoRA: { r: 4, targetModules: 'all-linear', useDora: true },
  IA3: { peftType: 'IA3' },
  'prompt tuning': { peftType: 'PROMPT_TUNING', numVirtualTokens: 4 },
  'prefix tuning': { peftType: 'PREFIX_TUNING', numVirtualTokens: 4 },
  'prefix tuning with a projection': { peftType: 'PREFIX_TUNING', numVirtualTokens: 4, prefixProjection: true },
  'bottleneck adapters': { peftType: 'BOTTLENECK', reductionFactor: 4, dropout: 0.1 },
  AdaLoRA: { peftType: 'ADALORA', initR: 4, targetR: 2, totalStep: 10, targetModules: 'all-linear' },
  VeRA: { peftType: 'VERA', r: 16, targetModules: 'all-linear' },
}

const random = new Random(3)
const examples = Array.from({ length: 8 }, (_, i) => {
  const inputIds = Array.from({ length: 4 + 3 * (i % 5) }, () => random.int(48))
  return { inputIds, labels: inputIds.map((id, t) => (t < 2 ? -100 : id)) }
})

beforeAll(async () => {
  await selectBackend()
})

describe('the same gradients', () => {
  for (const [name, options] of Object.entries(adapters))
    it(`of ${name}: in 1 batch of 8, 8 of 1, 2 of 4, packed, and with checkpointing`, () => {
      const peft = getPeftModel(createModel(config, { seed: 1 }), options)
      for (const [key, variable] of peft.parameters()) {
        const noise = new Random(5, key)
        const values = Float32Array.from({ length: variable.size }, () => 0.1 * noise.normal())
        tf.tidy(() => variable.assign(tf.add(variable, tf.tensor(values, variable.shape))))
      }
      const parameters = peft.parameters()
      const gradients = (
        batches: PackedBatch[],
        gradientCheckpointing = false,
        training = false,
      ): Map<string, Float32Array> => {
        const total = new Map([...parameters].map(([key, { size }]) => [key, new Float32Array(size)]))
        const labels = batches.reduce((sum, { numLabels }) => sum + numLabels, 0)
        const loss = { lossType: 'nll', labelSmoothingFactor: 0, gradientCheckpointing } as const
        const objective = sftObjective(peft.model, loss)
        for (const batch of batches)
          for (const [key, grad] of forwardBackward(objective, parameters, batch, 1 / labels, training ? 7 : undefined)
            .grads) {
            const values = grad.dataSync()
            total.get(key)!.forEach((value, i, all) => {
              all[i] = value + values[i]!
            })
            grad.dispose()
          }
        return total
      }
      const whole = gradients([collate(examples)])
      const scale = Math.max(...[...whole.values()].map((grad) => Math.hypot(...grad)))
      expect(scale).toBeGreaterThan(1e-3)
      const expectSame = (found: Map<string, Float32Array>, what: string) => {
        for (const [key, grad] of whole) {
          const difference = Math.hypot(...grad.map((value, i) => value - found.get(key)![i]!))
          expect(difference / scale, `${what}: ${key}`).toBeLessThan(1e-5)
        }
      }
      expectSame(gradients(examples.map((example) => collate([example]))), '8 batches of 1')
      expectSame(gradients([collate(examples.slice(0, 4)), collate(examples.slice(4))]), '2 batches of 4')
      const { bins } = packExamples(examples, { maxLength: 24 })
      expect(bins.length).toBeLessThan(examples.length)
      expectSame(gradients(bins.map((bin) => collate(bin))), 'packed')
      expectSame(gradients([collate(examples)], true), 'checkpointing')
      // With dropout too, a block that runs again drops the same elements.
      const dropped = gradients([collate(examples)], false, true)
      const again = gradients([collate(examples)], true, true)
      for (const [key, grad] of dropped) {
        const difference = Math.hypot(...grad.map((value, i) => value - again.get(key)![i]!))
        expect(difference / scale, key).toBeLessThan(1e-5)
      }
      peft.unload().dispose()
    })
})
