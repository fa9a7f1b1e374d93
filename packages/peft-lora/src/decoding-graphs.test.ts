// Decoding with adapters through captured CUDA graphs, on the emulated device.
import * as tf from '@tensorflow/tfjs-core'
import { adamWStep, selectBackend } from '@tunesmith/backend'
import { type GenerateOptions, generate } from '@tunesmith/models'
import { emulateCuda } from '@tunesmith/tooling/emulated-cuda'
import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest'
import { getPeftModel, type PeftConfigOptions, type PeftModel } from './index'
import { tinyModel } from './testing'
import { perturb, SEQUENCES } from './testing/measure'

interface Addon {
  memory(): { live: number }
  launchStep(...args: unknown[]): void
}
const addon = () => (tf.backend() as unknown as { addon: Addon }).addon
const options: GenerateOptions = { maxNewTokens: 8, stopTokenIds: [] }

describe.runIf(emulateCuda('bf16'))('decoding with adapters through captured graphs', () => {
  const warned = vi.spyOn(process, 'emitWarning')
  beforeAll(async () => {
    await selectBackend({ backend: 'cuda' })
  })
  beforeEach(() => {
    warned.mockReset().mockImplementation(() => {})
  })
  afterAll(() => vi.restoreAllMocks())

  /** The same tokens with and without graphs, and memory as it was; returns the tokens and how often a graph was launched. */
  async function compare(peft: PeftModel, more: GenerateOptions = {}) {
    vi.stubEnv('TUNESMITH_CUDA_GRAPHS', '0')
    const plain = await generate(peft.model, SEQUENCES, { ...options, ...more })
    vi.unstubAllEnvs()
    const before = { tensors: tf.memory().numTensors, live: addon().memory().live }
    const launched = vi.spyOn(addon(), 'launchStep')
    expect(await generate(peft.model, SEQUENCES, { ...options, ...more })).toEqual(plain)
    const launches = launched.mock.calls.length
    launched.mockRestore()
    expect({ tensors: tf.memory().numTensors, live: addon().memory().live }).toEqual(before)
    return { tokens: plain, launches }
  }

  const kinds: [string, PeftConfigOptions, Record<string, unknown>?][] = [
    ['LoRA', { r: 4, targetModules: 'all-linear' }],
    ['DoRA', { r: 4, targetModules: 'all-linear', useDora: true }],
    ['LoRA of the head', { r: 4, targetModules: ['q_proj', 'lm_head'] }],
    // Large enough not to stay on the host.
    ['LoRA of the embeddings', { r: 4, targetModules: ['q_proj', 'embed_tokens'] }, { vocab_size: 5000 }],
    ['IA3', { peftType: 'IA3' }],
    ['VeRA', { peftType: 'VERA', r: 8, targetModules: ['q_proj'] }],
    ['prefix tuning', { peftType: 'PREFIX_TUNING', numVirtualTokens: 3 }],
    ['prompt tuning', { peftType: 'PROMPT_TUNING', numVirtualTokens: 3 }],
    ['modules of their own', { r: 4, modulesToSave: ['lm_head'], bias: 'all' }],
  ]
  it.each(kinds)('%s: in the graph', async (_, adapter, config) => {
    const peft = getPeftModel(tinyModel({ format: 'nf4', config }), adapter)
    perturb(peft)
    const { launches } = await compare(peft)
    // The first token is the prompt's, the second a plain step's.
    expect(launches).toBe(6)
    expect(warned).not.toHaveBeenCalled()
  })

  it('several adapters in one batch: in the graph', async () => {
    const peft = getPeftModel(tinyModel(), { r: 2 }, { adapterName: 'low' })
    peft.addAdapter('high', { r: 8, targetModules: 'all-linear' })
    for (const name of ['low', 'high']) perturb(peft.setAdapter(name))
    const { tokens, launches } = await compare(peft, { adapterNames: ['high', '__base__', 'low'] })
    expect(launches).toBe(6)
    expect(tokens).not.toEqual((await compare(peft, { adapterNames: ['low', '__base__', 'high'] })).tokens)
    expect(warned).not.toHaveBeenCalled()
  })

  it('trained rows of the embeddings are chosen by the host: without a graph, with a warning', async () => {
    const peft = getPeftModel(tinyModel(), { r: 2, trainableTokenIndices: [3, 9] })
    perturb(peft)
    expect((await compare(peft)).launches).toBe(0)
    await compare(peft)
    const said = warned.mock.calls.map(String).filter((text) => text.includes('CUDA graph'))
    expect(said).toEqual([expect.stringMatching(/the step reads values back/)])
  })

  it('an optimizer step between two generations is seen', async () => {
    const peft = getPeftModel(tinyModel(), { r: 4, targetModules: 'all-linear' })
    perturb(peft)
    const before = (await compare(peft)).tokens
    for (const variable of peft.parameters().values())
      tf.tidy(() => {
        const zeros = () => tf.variable(tf.zeros(variable.shape), false)
        const state = { expAvg: zeros(), expAvgSq: zeros() }
        const hyper = { lr: 0.3, beta1: 0.9, beta2: 0.99, eps: 1e-8, weightDecay: 0, step: 1, gradScale: 1 }
        adamWStep(variable, tf.ones(variable.shape), state.expAvg, state.expAvgSq, hyper)
        tf.dispose([state.expAvg, state.expAvgSq])
      })
    const { tokens, launches } = await compare(peft)
    expect(launches).toBe(6)
    expect(tokens).not.toEqual(before)
  })
})
