import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import * as tf from '@tensorflow/tfjs-core'
import { selectBackend, valueAndGrads } from '@tunesmith/backend'
import { openSafetensors, readJsonFile, type SafetensorsFile } from '@tunesmith/hub'
import { beforeAll, describe, expect, it } from 'vitest'
import { withTable } from '../../scripts/write-table.mjs'
import {
  architectureNames,
  type CausalLM,
  generate,
  loadModel,
  makeTrainable,
  packSequences,
  parseModelConfig,
  savePretrained,
} from '../index'
import { FAMILIES } from '../testing/families'
import { floats, ints, largestDifference, tensorTexts } from '../testing/golden-tensors'
import { gemma2 } from './gemma2'
import { TEXT_HALVES } from './text-halves'

const fixtures = fileURLToPath(new URL('../fixtures', import.meta.url))

beforeAll(async () => {
  await selectBackend()
})

const logitsOf = (model: CausalLM, sequences: number[][]) =>
  tf.tidy(() => model.logits(model.forward(packSequences(sequences))).dataSync() as Float32Array)

/** One matrix of a stack of experts, and the name of the stack. */
const STACKED = /^(.*\.experts\.\w+)\.(\d+)$/

/** A parameter's gradient; of a stack of experts that of one. */
async function gradientOf(file: SafetensorsFile, name: string): Promise<Float32Array> {
  const [, stack, expert] = STACKED.exec(name) ?? []
  if (stack === undefined) return floats(file, name)
  const all = await floats(file, stack)
  const size = all.length / file.tensors.get(stack)!.shape[0]!
  return all.slice(Number(expert) * size, (Number(expert) + 1) * size)
}

describe('tiny models made by transformers', () => {
  for (const name of FAMILIES.flatMap(({ fixtures }) => fixtures)) {
    it(`${name}: logits alone and packed, 64 greedy tokens, and the loss`, async () => {
      const model = await loadModel(join(fixtures, name), { dtype: 'float32' })
      const golden = await openSafetensors(join(fixtures, name, 'expected.safetensors'))
      const prompts: number[][] = []
      const greedy: number[][] = []
      const all: number[] = []
      for (const i of [0, 1, 2]) {
        prompts.push(await ints(golden, `input_ids.${i}`))
        greedy.push(await ints(golden, `greedy.${i}`))
        const expected = await floats(golden, `logits.${i}`)
        expect(largestDifference(logitsOf(model, [prompts[i]!]), expected)).toBeLessThan(1e-4)
        all.push(...expected)

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
      expect(largestDifference(logitsOf(model, prompts), all)).toBeLessThan(1e-4)
      expect(await generate(model, prompts, { maxNewTokens: 64, stopTokenIds: [] })).toEqual(greedy)
      await golden.close()
      model.dispose()
    })

    it(`${name}: is saved tensor by tensor as it was`, async () => {
      const folder = await mkdtemp(join(tmpdir(), 'tunesmith-models-'))
      const model = await loadModel(join(fixtures, name))
      await savePretrained(model, folder)
      expect(await tensorTexts(folder)).toEqual(await tensorTexts(join(fixtures, name)))
      model.dispose()
      await rm(folder, { recursive: true })
    })

    it(`${name}: quantized while it is read, and expanded again`, async () => {
      const folder = await mkdtemp(join(tmpdir(), 'tunesmith-models-'))
      const quantizationConfig = { loadIn4bit: true, bnb4bitQuantType: 'nf4' } as const
      const model = await loadModel(join(fixtures, name), { quantizationConfig })
      const experts = [...model.experts.values()].flatMap(({ weights }) => weights)
      for (const { format } of [...model.decoderLinears().map(({ weight }) => weight), ...experts])
        expect(format).toBe('nf4')
      for (const { isParameter, weight } of model.linears.values()) if (isParameter) expect(weight.format).toBe('bf16')
      await savePretrained(model, folder, { dtype: 'float32' })
      // The embeddings of Gemma are scaled as the dtype of the file says.
      const expanded = await loadModel(folder)
      expanded.config.dtype = model.config.dtype
      const ids = [3, 14, 15, 9, 26, 5, 35, 8]
      expect(largestDifference(logitsOf(model, [ids]), logitsOf(expanded, [ids]))).toBeLessThan(1e-4)
      expanded.dispose()
      model.dispose()
      await rm(folder, { recursive: true })
    })

    it(`${name}: the gradient by every parameter, also with checkpointing`, async () => {
      const golden = await openSafetensors(join(fixtures, name, 'expected.safetensors'))
      const ids = await ints(golden, 'input_ids.1')
      await golden.close()
      const grads = await openSafetensors(join(fixtures, name, 'grads.safetensors'))
      const model = await loadModel(join(fixtures, name), { dtype: 'float32' })
      const parameters = makeTrainable(model)
      const labels = [...ids.slice(1), -100]
      for (const gradientCheckpointing of [false, true]) {
        const { value, grads: ours } = valueAndGrads(
          () => tf.mul(model.loss(packSequences([ids]), labels, { gradientCheckpointing }).loss, 1 / (ids.length - 1)),
          [...parameters.values()],
        )
        for (const [i, parameter] of [...parameters.keys()].entries()) {
          const expected = await gradientOf(grads, parameter)
          const stored = model.origin?.stored.get(parameter)
          const { shape } = ours[i]!
          const turned = stored?.transposed
            ? tf.tidy(() => tf.transpose(tf.tensor(expected, [...shape].reverse() as [number, number])).dataSync())
            : expected
          expect(largestDifference(ours[i]!.dataSync(), turned), parameter).toBeLessThan(5e-5)
        }
        tf.dispose([value, ...ours])
      }
      expect(new Set([...parameters.keys()].map((key) => key.replace(STACKED, '$1')))).toEqual(
        new Set(grads.tensors.keys()),
      )
      await grads.close()
      model.dispose()
    })
  }

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
        const difference = largestDifference(logitsOf(model, [ids]), await floats(golden, `${kind}.logits.${i}`))
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
    expect(code).toBe(await readFile(new URL('olmo2.ts', import.meta.url), 'utf8'))
  })
})

describe('a mixture', () => {
  it('that lacks a part of one expert names it', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'tunesmith-models-'))
    await cp(join(fixtures, 'mixtral'), folder, { recursive: true })
    const bytes = await readFile(join(folder, 'model.safetensors'))
    const name = 'model.layers.1.block_sparse_moe.experts.2.w3.weight'
    bytes.write('W', bytes.indexOf(name) + name.indexOf('w3'))
    await writeFile(join(folder, 'model.safetensors'), bytes)
    await expect(loadModel(folder)).rejects.toThrow(
      `Of the 8 pieces of model.layers.1.mlp.experts.gate_up_proj, 1 are missing: ${name}`,
    )
    await rm(folder, { recursive: true })
  })
})

describe('the table of the README', () => {
  it('is that of the families tested here, all of them', async () => {
    const readme = await readFile(new URL('../../README.md', import.meta.url), 'utf8')
    expect(readme).toBe(withTable(readme, FAMILIES))
    expect(FAMILIES.map(({ modelType }) => modelType).sort()).toEqual(architectureNames().sort())
    expect(FAMILIES.flatMap(({ whole }) => whole ?? []).sort()).toEqual(Object.keys(TEXT_HALVES).sort())
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

  it('windows follow the layers', () => {
    const windows = (more: object) => parseModelConfig({ ...sizes, ...more }).layers.map(({ window }) => window)
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
