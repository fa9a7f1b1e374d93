// Training on a device that is too small, on the emulated one: with paged optimizer states and offloaded activations it ends with the
// bits of a device that has room.
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { selectBackend } from '@tunesmith/backend'
import { cudaMemory, resetCudaPeak, trimCudaMemory } from '@tunesmith/backend-cuda'
import { createModel } from '@tunesmith/models'
import { emulateCuda } from '@tunesmith/tooling/emulated-cuda'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type SFTTrainerOptions, sftConfig } from '../index'
import { countingExamples, TINY_MODEL } from '../testing/counting-task'
import { tinyTrainer, weightsOf } from '../testing/tiny-trainer'
import { estimateMemory, memoryAdvice, memoryNotices } from './memory'

const there = emulateCuda('f32')

describe.runIf(there)('a device whose memory is short', () => {
  let outputDir: string
  beforeAll(async () => {
    outputDir = await mkdtemp(join(tmpdir(), 'tunesmith-'))
    expect((await selectBackend({ backend: 'cuda' })).name).toBe('cuda')
  })
  afterAll(() => rm(outputDir, { recursive: true }))

  interface Run {
    /** Bytes of device memory there are; undefined: more than enough. */
    memory?: number
    layers?: number
    args?: Partial<SFTTrainerOptions['args']>
    /** Default: every weight is trained. */
    peftConfig?: SFTTrainerOptions['peftConfig']
  }

  /** A training from the same start each time. */
  async function train({ memory, layers = 1, args, peftConfig }: Run) {
    const model = createModel({ ...TINY_MODEL, num_hidden_layers: layers }, { seed: 3 })
    let away = 0
    const onStepEnd = () => {
      away = Math.max(away, cudaMemory().away)
    }
    const { trainer, notices } = tinyTrainer(
      { outputDir, maxSteps: 3, perDeviceTrainBatchSize: 1, ...args },
      { model, peftConfig, trainDataset: countingExamples(12), evalDataset: undefined, callbacks: [{ onStepEnd }] },
    )
    trimCudaMemory()
    resetCudaPeak()
    if (memory !== undefined) process.env.TUNESMITH_CUDA_EMULATED_MB = String(memory / 2 ** 20)
    try {
      const { logs } = await trainer.train()
      const { peak } = cudaMemory()
      return { losses: logs.map(({ loss }) => loss), weights: weightsOf(trainer), peak, notices, away }
    } finally {
      delete process.env.TUNESMITH_CUDA_EMULATED_MB
      for (const parameter of trainer.parameters.values()) parameter.dispose()
      model.dispose()
    }
  }

  it('paged optimizers train where others do not fit, to the same bits, and resume', async () => {
    const live = cudaMemory().live
    // So that the update is what takes most.
    const short = { maxLength: 4 }
    const plain = await train({ args: { ...short, optim: 'adamw' } })
    const parameters = [...plain.weights.values()].reduce((sum, { length }) => sum + length, 0)
    // Too little for half of the moments.
    const memory = plain.peak - 4 * parameters
    await expect(train({ memory, args: { ...short, optim: 'adamw' } })).rejects.toMatchObject({
      code: 'out_of_memory',
      remedy: expect.stringContaining('optim "paged_adamw_32bit"'),
    })
    const optim = 'paged_adamw_32bit'
    const saving = {
      ...short,
      optim,
      outputDir: join(outputDir, 'saved'),
      saveStrategy: 'steps',
      saveSteps: 2,
    } as const
    const paged = await train({ memory, args: saving })
    expect(paged).toMatchObject({ losses: plain.losses, weights: plain.weights, notices: plain.notices })
    expect(paged.away).toBeGreaterThan(0)
    const resumeFromCheckpoint = join(saving.outputDir, 'checkpoint-2')
    const resumed = await train({ memory, args: { ...short, optim, resumeFromCheckpoint } })
    expect(resumed.weights).toEqual(plain.weights)
    expect(resumed.away).toBeGreaterThan(0)
    expect(cudaMemory()).toMatchObject({ live, away: 0 })
  })

  it('offloaded activations train where checkpointed ones do not fit, to the same bits', async () => {
    const layers = 8
    const peftConfig = { r: 2, targetModules: ['q_proj'] }
    const args = { gradientCheckpointing: true, perDeviceTrainBatchSize: 8, maxSteps: 1 }
    const plain = await train({ layers, peftConfig, args })
    const offloading = { ...args, activationOffloading: true }
    const moved = await train({ layers, peftConfig, args: offloading })
    expect(moved).toMatchObject({ losses: plain.losses, weights: plain.weights, notices: [] })
    // Of eight inputs of [tokens, 32], two are there at a time, and a third while the loss is computed.
    const tokens = countingExamples(12).reduce((sum, { inputIds }) => sum + inputIds.length, 0)
    expect(plain.peak - moved.peak).toBeGreaterThan((layers - 3) * 4 * 32 * (8 / 12) * tokens * 0.8)
    const memory = (plain.peak + moved.peak) / 2
    await expect(train({ memory, layers, peftConfig, args })).rejects.toMatchObject({
      code: 'out_of_memory',
      remedy: expect.stringContaining('activationOffloading true'),
    })
    expect((await train({ memory, layers, peftConfig, args: offloading })).weights).toEqual(plain.weights)
  })

  it('the estimate and its advice know what leaves the device', () => {
    const model = createModel({ ...TINY_MODEL, num_hidden_layers: 8 }, { seed: 3 })
    const inputs = (args: object) => ({
      ...{ model, parameters: new Map(), config: sftConfig({ outputDir, perDeviceTrainBatchSize: 1, ...args }) },
      ...{ optimizerBytes: 1e15, tokensPerMicroBatch: 1000 },
    })
    const checkpointed = { gradientCheckpointing: true, optim: 'adamw_8bit' }
    const activations = (args: object) => estimateMemory(inputs(args)).activations
    const both = { ...checkpointed, activationOffloading: true }
    expect(activations(checkpointed) - activations(both)).toBe(6 * 4 * 32 * 1000)
    const advice = memoryAdvice(inputs(checkpointed)).join('; ')
    expect(advice).toMatch(
      /activationOffloading true .* moves about .*; optim "paged_adamw_8bit" .* up to 931322\.6 GB/,
    )
    expect(memoryAdvice(inputs({ ...both, optim: 'paged_adamw_8bit' })).join()).not.toMatch(/activationOff|paged/)
    expect(memoryNotices(inputs(both))).toHaveLength(1)
    expect(memoryNotices(inputs({ ...both, optim: 'paged_adamw_8bit' }))).toEqual([])
    model.dispose()
  })
})
