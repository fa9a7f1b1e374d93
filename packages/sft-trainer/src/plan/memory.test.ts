import * as tf from '@tensorflow/tfjs-core'
import { currentBackend, selectBackend } from '@tunesmith/backend'
import { collate } from '@tunesmith/datasets'
import { createModel, makeTrainable } from '@tunesmith/models'
import { getPeftModel } from '@tunesmith/peft-lora'
import { beforeAll, describe, expect, it } from 'vitest'
import { sftConfig } from '../config'
import { forwardBackward } from '../loop/micro-batch'
import { sftObjective } from '../loop/objective'
import { estimateMemory, memoryAdvice, memoryNotices } from './memory'

beforeAll(async () => {
  await selectBackend()
})

const SHAPES = [
  { hidden_size: 128, intermediate_size: 352, num_hidden_layers: 6, num_attention_heads: 4, num_key_value_heads: 2 },
  { hidden_size: 128, intermediate_size: 512, num_hidden_layers: 4, num_attention_heads: 8, num_key_value_heads: 8 },
]
const TOKENS = 512

/** Most bytes in tensors at any time while `f` runs, beyond those before. */
function peakBytes(f: () => void): number {
  const backend = tf.engine().backend as unknown as { output: (...args: unknown[]) => unknown }
  const { output } = backend
  const before = tf.memory().numBytes
  let peak = 0
  backend.output = (...args) => {
    const made = output.apply(backend, args)
    peak = Math.max(peak, tf.memory().numBytes - before)
    return made
  }
  try {
    f()
  } finally {
    backend.output = output
  }
  return peak
}

describe('the estimate of memory', () => {
  for (const [i, shape] of SHAPES.entries())
    for (const [what, gradientCheckpointing] of [
      ['LoRA', false],
      ['LoRA', true],
      ['every weight', false],
    ] as const)
      it(`shape ${i}, ${what}${gradientCheckpointing ? ', checkpointing' : ''}: near what a step takes`, (context) => {
        if (currentBackend()?.name !== 'native') context.skip('peaks are only seen on the native backend')
        const model = createModel({ model_type: 'llama', vocab_size: 256, rms_norm_eps: 1e-5, ...shape })
        const parameters =
          what === 'LoRA'
            ? getPeftModel(model, { r: 4, targetModules: 'all-linear' }).parameters()
            : makeTrainable(model)
        const ids = Array.from({ length: TOKENS }, (_, t) => (7 * t) % 256)
        const batch = collate([{ inputIds: ids, labels: ids }])
        const config = sftConfig({ outputDir: 'unused', gradientCheckpointing })
        const peak = peakBytes(() => {
          tf.dispose([...forwardBackward(sftObjective(model, config), parameters, batch, 1).grads.values()])
        })
        const { activations, gradients } = estimateMemory({
          ...{ model, parameters, config },
          optimizerBytes: 0,
          tokensPerMicroBatch: TOKENS,
        })
        expect(peak).toBeGreaterThan(0.7 * (activations + gradients))
        expect(peak).toBeLessThan(1.15 * (activations + gradients))
        model.dispose()
      })

  it('leads to advice that says what each change saves', () => {
    const model = createModel({ model_type: 'llama', vocab_size: 256, rms_norm_eps: 1e-5, ...SHAPES[0] })
    const parameters = makeTrainable(model)
    const inputs = (args: object) => ({
      ...{ model, parameters, config: sftConfig({ outputDir: 'unused', ...args }) },
      optimizerBytes: 8e9,
      tokensPerMicroBatch: 100_000,
    })
    const [batch, checkpointing, optimizer] = memoryAdvice(inputs({ perDeviceTrainBatchSize: 6 }))
    expect(batch).toMatch(/^perDeviceTrainBatchSize 6 to 4 with gradientAccumulationSteps 1 to 2 .* saves about \d/)
    expect(checkpointing).toMatch(/^gradientCheckpointing true .* saves about \d/)
    expect(optimizer).toBe('optim "adamw_8bit" (saves about 5.5 GB)')
    expect(memoryNotices(inputs({}))).toEqual([])
    const [notice] = memoryNotices({ ...inputs({}), optimizerBytes: 1e15 })
    expect(notice).toMatch(/^a step may need 931\d\d\d\.\d GB of memory, .* change perDeviceTrainBatchSize/)
    const tight = memoryAdvice(inputs({ perDeviceTrainBatchSize: 1, gradientCheckpointing: true, optim: 'adamw_8bit' }))
    expect(tight).toEqual([expect.stringMatching(/^maxLength 1024 to 512 \(saves about/)])
    model.dispose()
  })
})
