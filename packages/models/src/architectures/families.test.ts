import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import * as tf from '@tensorflow/tfjs-core'
import { selectBackend } from '@tunesmith/backend'
import { openSafetensors, readJsonFile } from '@tunesmith/hub'
import { beforeAll, describe, expect, it } from 'vitest'
import { type CausalLM, generate, loadModel, packSequences, parseModelConfig, registerArchitecture } from '../index'
import { floats, ints, largestDifference } from '../testing/golden-tensors'
import { olmo2 } from '../testing/olmo2'
import { gemma2 } from './gemma2'

const fixtures = fileURLToPath(new URL('../fixtures', import.meta.url))

beforeAll(async () => {
  await selectBackend()
  registerArchitecture(olmo2)
})

const logitsOf = (model: CausalLM, ids: number[]) =>
  tf.tidy(() => model.logits(model.forward(packSequences([ids]))).dataSync() as Float32Array)

describe('tiny models made by transformers', () => {
  for (const name of ['llama', 'mistral', 'qwen2', 'qwen3', 'gemma2', 'phi3', 'olmo2'])
    it(`${name}: logits, 64 greedy tokens, and the loss`, async () => {
      const model = await loadModel(join(fixtures, name), { dtype: 'float32' })
      const golden = await openSafetensors(join(fixtures, name, 'expected.safetensors'))
      const prompts: number[][] = []
      const greedy: number[][] = []
      for (const i of [0, 1, 2]) {
        prompts.push(await ints(golden, `input_ids.${i}`))
        greedy.push(await ints(golden, `greedy.${i}`))
        const expected = await floats(golden, `logits.${i}`)
        expect(largestDifference(logitsOf(model, prompts[i]!), expected)).toBeLessThan(1e-4)

        // The loss by the golden logits, in double precision.
        const width = model.config.vocabSize
        const labels = [...prompts[i]!.slice(1), -100]
        let sum = 0
        labels.slice(0, -1).forEach((label, t) => {
          const row = Array.from(expected.subarray(t * width, (t + 1) * width))
          sum += Math.log(row.reduce((total, value) => total + Math.exp(value), 0)) - row[label]!
        })
        const result = model.loss(packSequences([prompts[i]!]), labels)
        expect(Math.abs(result.loss.dataSync()[0]! - sum) / labels.length).toBeLessThan(1e-5)
        tf.dispose(Object.values(result))
      }
      expect(await generate(model, prompts, { maxNewTokens: 64, stopTokenIds: [] })).toEqual(greedy)
      await golden.close()
      model.dispose()
    })

  for (const kind of ['linear', 'dynamic', 'llama3', 'yarn'])
    it(`rope ${kind}, past the original length`, async () => {
      const folder = await mkdtemp(join(tmpdir(), 'tunesmith-models-'))
      await cp(join(fixtures, 'rope'), folder, { recursive: true })
      const config = JSON.parse(await readFile(join(folder, 'config.json'), 'utf8'))
      const kinds = await readJsonFile<Record<string, Record<string, object>>>(join(folder, 'kinds.json'))
      const { rope_parameters, ...rest } = kinds[kind]!
      const rope = { rope_theta: 10000, ...rope_parameters }
      const model_config = { ...config, ...rest, rope_parameters: rope }
      await writeFile(join(folder, 'config.json'), JSON.stringify(model_config))
      const model = await loadModel(folder)
      const golden = await openSafetensors(join(folder, 'expected.safetensors'))
      for (const i of [0, 1, 2]) {
        const ids = await ints(golden, `${kind}.input_ids.${i}`)
        const difference = largestDifference(logitsOf(model, ids), await floats(golden, `${kind}.logits.${i}`))
        expect(difference).toBeLessThan(1e-4)
      }
      await golden.close()
      model.dispose()
      await rm(folder, { recursive: true })
    })
})

describe('the guide "add an architecture"', () => {
  it('shows the code that is tested here', async () => {
    const guide = await readFile(new URL('../../../../docs/contributing/new-architecture.md', import.meta.url), 'utf8')
    const [, code] = /```ts\n([\s\S]*?)```/.exec(guide)!
    expect(code).toBe(await readFile(new URL('../testing/olmo2.ts', import.meta.url), 'utf8'))
  })
})

describe('configurations', () => {
  const sizes = {
    vocab_size: 8,
    hidden_size: 3072,
    intermediate_size: 8,
    num_hidden_layers: 3,
    num_attention_heads: 32,
  }

  it('longrope is refused by name', () => {
    const rope_scaling = { type: 'longrope', short_factor: [1], long_factor: [2] }
    expect(() => parseModelConfig({ ...sizes, model_type: 'phi3', rope_scaling })).toThrow(/longrope/)
  })

  it('windows follow the layers', () => {
    const windows = (more: object) => parseModelConfig({ ...sizes, ...more }).windows
    expect(windows({ model_type: 'gemma2' })).toEqual([4096, 0, 4096])
    expect(windows({ model_type: 'mistral', sliding_window: 5 })).toEqual([5, 5, 5])
    expect(windows({ model_type: 'llama', sliding_window: 5 })).toEqual([0, 0, 0])
    expect(windows({ model_type: 'qwen2', sliding_window: 5 })).toEqual([0, 0, 0])
    const qwen = { model_type: 'qwen3', sliding_window: 5, use_sliding_window: true }
    expect(windows({ ...qwen, max_window_layers: 1 })).toEqual([0, 5, 5])
  })

  it("gemma's embedding scale is rounded to the model's dtype", () => {
    const scale = (dtype: string) => gemma2.embeddingScale!(parseModelConfig({ ...sizes, model_type: 'gemma2', dtype }))
    expect(scale('bfloat16')).toBe(55.5)
    expect(scale('float32')).toBe(Math.fround(Math.sqrt(3072)))
  })
})
