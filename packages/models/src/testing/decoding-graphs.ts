import { join } from 'node:path'
import * as tf from '@tensorflow/tfjs-core'
import { selectBackend } from '@tunesmith/backend'
import { openSafetensors } from '@tunesmith/hub'
import { sharedPath } from '@tunesmith/tooling/shared'
import { beforeAll, beforeEach, describe, expect, it, vi } from 'vitest'
import { type CausalLM, createModel, type GenerateOptions, generate, loadModel, streamTokens } from '../index'
import { ints } from './golden-tensors'

interface Addon {
  memory(): { live: number }
  [name: string]: unknown
}
const addon = () => (tf.backend() as unknown as { addon: Addon }).addon

/** The functions of the addon that `f` calls, in their order. */
export async function addonCalls(f: (mark: () => void) => Promise<unknown>): Promise<string[]> {
  const functions = addon()
  const original = { ...functions }
  const calls: string[] = []
  for (const [name, call] of Object.entries(original))
    functions[name] = (...args: unknown[]) => {
      calls.push(name)
      return (call as (...args: unknown[]) => unknown)(...args)
    }
  try {
    await f(() => calls.push('mark'))
  } finally {
    Object.assign(functions, original)
  }
  return calls
}

/** What `f` gives with the variable `TUNESMITH_CUDA_GRAPHS=0`. */
export async function withoutGraphs<Result>(f: () => Promise<Result>): Promise<Result> {
  vi.stubEnv('TUNESMITH_CUDA_GRAPHS', '0')
  try {
    return await f()
  } finally {
    vi.unstubAllEnvs()
  }
}

/** Generates with and without graphs; both must give the same tokens and leave memory as it was. */
export async function sameTokens(
  model: CausalLM,
  prompts: readonly number[][],
  options: GenerateOptions,
): Promise<number[][]> {
  const plain = await withoutGraphs(() => generate(model, prompts, options))
  const before = { tensors: tf.memory().numTensors, live: addon().memory().live }
  const calls = await addonCalls(async () => expect(await generate(model, prompts, options)).toEqual(plain))
  expect(calls).toContain('launchStep')
  expect({ tensors: tf.memory().numTensors, live: addon().memory().live }).toEqual(before)
  return plain
}

const prompts = [[5, 9, 11], [7], [40, 41, 42, 43, 44, 45]]
const free: GenerateOptions = { maxNewTokens: 12, stopTokenIds: [] }

export function decodingModel(more: Record<string, unknown> = {}): CausalLM {
  const sizes = { vocab_size: 330, hidden_size: 32, intermediate_size: 64, num_hidden_layers: 2 }
  const heads = { num_attention_heads: 4, num_key_value_heads: 2, max_position_embeddings: 96 }
  const config = { model_type: 'llama', eos_token_id: 2, initializer_range: 0.4, ...sizes, ...heads, ...more }
  return createModel(config, { seed: 4 })
}

/** The tests of decoding with captured graphs, on the emulated device in one precision. */
export function testDecodingGraphs(precision: 'f32' | 'bf16'): void {
  describe(`decoding with captured graphs in ${precision}`, () => {
    const warned = vi.spyOn(process, 'emitWarning')
    beforeAll(async () => {
      expect((await selectBackend({ backend: 'cuda' })).description).toContain(precision)
    })
    beforeEach(() => {
      warned.mockReset().mockImplementation(() => {})
    })

    it('gives the same tokens as without, also when sequences end one after the other', async () => {
      const model = decodingModel()
      const tokens = await sameTokens(model, prompts, free)
      expect(new Set(tokens.map(String)).size).toBe(3)
      const stopTokenIds = [tokens[1]![2]!, tokens[0]![6]!]
      const stopped = await sameTokens(model, prompts, { ...free, stopTokenIds })
      expect(new Set(stopped.map(({ length }) => length)).size).toBeGreaterThan(1)
      const sampling = { doSample: true, temperature: 2, seed: 3, numReturnSequences: 2 }
      await sameTokens(model, prompts.slice(0, 2), { ...free, ...sampling })
      expect(warned).not.toHaveBeenCalled()
      model.dispose()
    })

    it('captures what other families compute: soft caps, windows, scaled embeddings, norms of heads, biases', async () => {
      for (const more of [
        { model_type: 'gemma2', head_dim: 8, sliding_window: 4, query_pre_attn_scalar: 8 },
        { model_type: 'qwen3', head_dim: 8 },
        { model_type: 'qwen2' },
        { rope_scaling: { rope_type: 'dynamic', factor: 4, original_max_position_embeddings: 8 } },
      ]) {
        const model = decodingModel(more)
        await sameTokens(model, prompts.slice(0, 2), free)
        model.dispose()
      }
      expect(warned).not.toHaveBeenCalled()
    })

    it('asks the device for a token with two calls', async () => {
      const model = decodingModel()
      const tokens = (mark: () => void) => async () => {
        for await (const _ of streamTokens(model, [prompts[0]!], free)) mark()
      }
      const perToken = (calls: string[]) => {
        const runs = calls.join(' ').split('mark').slice(0, -1)
        return runs.map((run) => run.split(' ').filter(Boolean))
      }
      const plain = perToken(await withoutGraphs(() => addonCalls((mark) => tokens(mark)())))
      const captured = perToken(await addonCalls((mark) => tokens(mark)()))
      expect(plain.at(-1)!.length).toBeGreaterThan(80)
      // The prompt, a plain step, a captured one; then only this.
      for (const calls of captured.slice(3)) expect(calls).toEqual(['launchStep', 'download'])
      expect(captured[2]).toContain('endCapture')
      model.dispose()
    })

    it('sees weights and modules that change while a sequence is read', async () => {
      const model = decodingModel()
      const run = async () => {
        const found: number[] = []
        const module = model.linears.get('model.layers.1.mlp.down_proj')!
        const weight = module.weight.weight as tf.Tensor2D
        const doubled = tf.tidy(() => tf.mul(weight, -2))
        for await (const { token } of streamTokens(model, [prompts[0]!], free)) {
          found.push(token)
          if (found.length === 5) module.weight = { ...module.weight, weight: doubled }
          if (found.length === 8) module.override = (x) => tf.mul(module.forwardBase(x), 3)
        }
        module.weight = { ...module.weight, weight }
        module.override = undefined
        doubled.dispose()
        return found
      }
      const changed = await withoutGraphs(run)
      expect(changed).not.toEqual((await generate(model, [prompts[0]!], free))[0])
      expect(await run()).toEqual(changed)
      model.dispose()
    })

    it('goes on without a graph, and says why once, where a module reads values back', async () => {
      const model = decodingModel()
      const module = model.linears.get('model.layers.0.mlp.down_proj')!
      let reads = 0
      module.override = (x) => {
        const y = module.forwardBase(x)
        reads += y.dataSync().length
        return y
      }
      const plain = await withoutGraphs(() => generate(model, prompts, free))
      const before = { tensors: tf.memory().numTensors, live: addon().memory().live }
      for (let i = 0; i < 2; i++) {
        const calls = await addonCalls(async () => expect(await generate(model, prompts, free)).toEqual(plain))
        expect(calls).toContain('abandonCapture')
        expect(calls).not.toContain('launchStep')
      }
      expect({ tensors: tf.memory().numTensors, live: addon().memory().live }).toEqual(before)
      expect(reads).toBeGreaterThan(0)
      expect(warned).toHaveBeenCalledTimes(1)
      expect(warned.mock.calls[0]![0]).toMatch(/without a CUDA graph.*the step reads values back/)
      model.dispose()
    })

    // In bfloat16 the logits are not transformers'.
    if (precision !== 'f32') return
    const goldens = sharedPath('goldens')
    it.runIf(goldens)('the greedy tokens of transformers', async () => {
      for (const name of ['tiny-llama', 'tiny-llama-nf4']) {
        const model = await loadModel(join(goldens!, name))
        const golden = await openSafetensors(join(goldens!, name, 'logits.safetensors'))
        const inputs = [await ints(golden, 'input_ids.0'), await ints(golden, 'input_ids.1')]
        const greedy = [await ints(golden, 'greedy.0'), await ints(golden, 'greedy.1')]
        const options = { maxNewTokens: greedy[0]!.length, stopTokenIds: [] }
        expect(await sameTokens(model, inputs, options)).toEqual(greedy)
        await golden.close()
        model.dispose()
      }
      expect(warned).not.toHaveBeenCalled()
    })
  })
}
