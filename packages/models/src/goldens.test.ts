import { join } from 'node:path'
import * as tf from '@tensorflow/tfjs-core'
import { selectBackend, valueAndGrads } from '@tunesmith/backend'
import { openSafetensors, readJsonFile } from '@tunesmith/hub'
import { sharedPath } from '@tunesmith/tooling/shared'
import { beforeAll, describe, expect, it } from 'vitest'
import { generate, loadModel, makeTrainable, packSequences } from './index'
import { floats, ints, largestDifference } from './testing/golden-tensors'

const folder = sharedPath('goldens')

beforeAll(async () => {
  await selectBackend()
})

describe.runIf(folder)('values of transformers', () => {
  for (const name of ['tiny-llama', 'tiny-llama31', 'tiny-mistral', 'tiny-qwen2', 'tiny-llama-bf16-sharded']) {
    describe(name, () => {
      it('gives the same logits, alone and packed, and the same greedy tokens', async () => {
        const model = await loadModel(join(folder!, name))
        const golden = await openSafetensors(join(folder!, name, 'logits.safetensors'))
        const prompts: number[][] = []
        const expected: Float32Array[] = []
        const greedy: number[][] = []
        for (const i of [0, 1, 2]) {
          prompts.push(await ints(golden, `input_ids.${i}`))
          expected.push(await floats(golden, `logits.${i}`))
          if (golden.tensors.has(`greedy.${i}`)) greedy.push(await ints(golden, `greedy.${i}`))
        }
        const logitsOf = (sequences: number[][]) =>
          tf.tidy(() => model.logits(model.forward(packSequences(sequences))).dataSync() as Float32Array)
        prompts.forEach((prompt, i) => {
          expect(largestDifference(logitsOf([prompt]), expected[i]!)).toBeLessThan(1e-4)
        })
        const packed = logitsOf(prompts)
        let at = 0
        for (const part of expected) {
          expect(largestDifference(packed.subarray(at, at + part.length), part)).toBeLessThan(1e-4)
          at += part.length
        }
        if (greedy.length > 0)
          expect(await generate(model, prompts, { maxNewTokens: 24, stopTokenIds: [] })).toEqual(greedy)
        await golden.close()
        model.dispose()
      })
    })
  }

  for (const name of ['tiny-llama', 'tiny-llama31', 'tiny-mistral', 'tiny-qwen2'])
    for (const gradientCheckpointing of [false, true])
      it(`${name}: gradient of every parameter${gradientCheckpointing ? ', with checkpointing' : ''}`, async () => {
        const model = await loadModel(join(folder!, name))
        const parameters = makeTrainable(model)
        const logits = await openSafetensors(join(folder!, name, 'logits.safetensors'))
        const golden = await openSafetensors(join(folder!, name, 'grads.safetensors'))
        const ids = await ints(logits, 'input_ids.1')
        const input = packSequences([ids])
        const { grads: expected } = await readJsonFile<{ grads: { labels: number[]; loss: number } }>(
          join(folder!, name, 'expected.json'),
        )
        const labels = [...expected.labels.slice(1), -100]
        const numLabels = labels.filter((label) => label >= 0).length
        const { value, grads } = valueAndGrads(
          () => tf.mul(model.loss(input, labels, { gradientCheckpointing }).loss, 1 / numLabels),
          [...parameters.values()],
        )
        expect(Math.abs(value.dataSync()[0]! - expected.loss)).toBeLessThan(1e-5)
        let i = 0
        for (const parameter of parameters.keys())
          expect(largestDifference(grads[i++]!.dataSync(), await floats(golden, parameter)), parameter).toBeLessThan(
            5e-5,
          )
        expect(golden.tensors.size).toBe(parameters.size)
        await golden.close()
        await logits.close()
        tf.dispose([value, ...grads])
        model.dispose()
      })
})
