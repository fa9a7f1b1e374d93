import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import * as tf from '@tensorflow/tfjs-core'
import { dequantize, selectBackend } from '@tunesmith/backend'
import { openSafetensors } from '@tunesmith/hub'
import { sharedPath } from '@tunesmith/tooling/shared'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type CausalLM, createModel, generate, loadModel, packSequences, savePretrained } from './index'
import { floats, ints, largestDifference } from './testing/golden-tensors'

const folder = sharedPath('goldens')
const temporary: string[] = []
const scratch = async () => {
  temporary.push(await mkdtemp(join(tmpdir(), 'tunesmith-models-')))
  return temporary.at(-1)!
}

beforeAll(async () => {
  await selectBackend()
})
afterAll(() => Promise.all(temporary.map((path) => rm(path, { recursive: true }))))

const logitsOf = (model: CausalLM, ids: number[]) =>
  tf.tidy(() => model.logits(model.forward(packSequences([ids]))).dataSync() as Float32Array)

const formats = (model: CausalLM) => [...new Set(model.decoderLinears().map(({ weight }) => weight.format))]

describe.runIf(folder)('checkpoints that bitsandbytes quantized', () => {
  const cases = [
    { name: 'tiny-llama-nf4', format: 'nf4' },
    { name: 'tiny-llama-int8', format: 'int8' },
    // Python rounds each weight of these to the 16-bit dtype the model had.
    { name: 'tiny-llama-nf4-bf16', format: 'nf4' },
    { name: 'tiny-llama-fp4', format: 'fp4' },
  ]
  for (const { name, format } of cases)
    it(`${name}: logits and greedy tokens of transformers`, async () => {
      const golden = await openSafetensors(join(folder!, name, 'logits.safetensors'))
      for (const dtype of ['auto', 'float32'] as const) {
        const model = await loadModel(join(folder!, name), { dtype })
        expect(formats(model)).toEqual([dtype === 'auto' ? format : 'f32'])
        const prompts: number[][] = []
        const greedy: number[][] = []
        for (const i of [0, 1, 2]) {
          prompts.push(await ints(golden, `input_ids.${i}`))
          greedy.push(await ints(golden, `greedy.${i}`))
          const difference = largestDifference(logitsOf(model, prompts[i]!), await floats(golden, `logits.${i}`))
          expect(difference).toBeLessThan(1e-4)
        }
        expect(await generate(model, prompts, { maxNewTokens: greedy[0]!.length, stopTokenIds: [] })).toEqual(greedy)
        model.dispose()
      }
      const model = await loadModel(join(folder!, name))
      expect(formats(model)).toEqual([format])
      for (const module of model.decoderLinears()) {
        const ours = tf.tidy(() => dequantize(module.weight).dataSync())
        const theirs = await floats(golden, `dequant.${module.name}.weight`)
        for (let i = 0; i < ours.length; i++)
          if (!(Math.abs(ours[i]! - theirs[i]!) <= (format === 'int8' ? 2e-7 : 0) * Math.abs(theirs[i]!)))
            expect.fail(`${module.name} element ${i}: ${ours[i]} instead of ${theirs[i]}`)
      }
      await golden.close()
      model.dispose()
    })

  it('a part that is missing is named', async () => {
    const copy = await scratch()
    await cp(join(folder!, 'tiny-llama-nf4'), copy, { recursive: true })
    const file = join(copy, 'model.safetensors')
    const bytes = await readFile(file)
    const needle = Buffer.from('"model.layers.1.mlp.up_proj.weight.nested_absmax"')
    bytes.write('"model.layers.1.mlp.up_proj.weight.nested_abssss"', bytes.indexOf(needle))
    await writeFile(file, bytes)
    await expect(loadModel(copy)).rejects.toThrow(/model\.layers\.1\.mlp\.up_proj\.weight\.nested_abssss/)
  })
})

describe('quantizing while loading', () => {
  const config = {
    model_type: 'llama',
    vocab_size: 96,
    hidden_size: 64,
    intermediate_size: 128,
    num_hidden_layers: 2,
    num_attention_heads: 4,
    num_key_value_heads: 2,
    initializer_range: 0.1,
  }

  it('leaves the head and the embeddings alone and stays near the weights', async () => {
    const dir = await scratch()
    const made = createModel(config, { seed: 3 })
    await savePretrained(made, dir, { dtype: 'bfloat16' })
    made.dispose()
    for (const quantizationConfig of [
      { loadIn4bit: true, bnb4bitQuantType: 'nf4', bnb4bitUseDoubleQuant: true },
      { loadIn4bit: true },
      { loadIn8bit: true },
    ] as const) {
      const model = await loadModel(dir, { quantizationConfig })
      const format =
        'loadIn8bit' in quantizationConfig ? 'int8' : 'bnb4bitQuantType' in quantizationConfig ? 'nf4' : 'fp4'
      expect(formats(model)).toEqual([format])
      expect(model.lmHead.weight.format).toBe('bf16')
      expect(model.embedTokens.weight.format).toBe('bf16')
      const plain = await loadModel(dir)
      for (const [i, module] of model.decoderLinears().entries()) {
        const [ours, original] = [module, plain.decoderLinears()[i]!].map(({ weight }) =>
          tf.tidy(() => dequantize(weight).dataSync()),
        )
        const error = Math.hypot(...ours!.map((v, j) => v - original![j]!)) / Math.hypot(...original!)
        expect(error).toBeGreaterThan(0)
        expect(error).toBeLessThan({ int8: 0.01, nf4: 0.11, fp4: 0.13 }[format])
      }
      plain.dispose()
      model.dispose()
    }
  })

  it('refuses a configuration that contradicts itself', async () => {
    const dir = await scratch()
    const made = createModel(config)
    await savePretrained(made, dir)
    made.dispose()
    await expect(loadModel(dir, { quantizationConfig: { loadIn4bit: true, loadIn8bit: true } })).rejects.toThrow(/both/)
    await expect(loadModel(dir, { quantizationConfig: { loadIn4Bit: true } as never })).rejects.toThrow(/loadIn4bit/)
  })

  it.runIf(folder)('refuses a checkpoint that is quantized already', async () => {
    await expect(
      loadModel(join(folder!, 'tiny-llama-nf4'), { quantizationConfig: { loadIn4bit: true } }),
    ).rejects.toThrow(/already/)
  })
})
