import { join } from 'node:path'
import * as tf from '@tensorflow/tfjs-core'
import { selectBackend } from '@tunesmith/backend'
import { openSafetensors, readJsonFile } from '@tunesmith/hub'
import { loadModel, packSequences } from '@tunesmith/models'
import { loadPeftModel } from '@tunesmith/peft-lora'
import { beforeAll, describe, expect, it } from 'vitest'
import { goldens as folder, goldenBatches, goldenSteps, type Trajectory, tensor } from '../testing/golden-lora'

function largestDifference(a: ArrayLike<number>, b: ArrayLike<number>): number {
  expect(a.length).toBe(b.length)
  let largest = 0
  for (let i = 0; i < a.length; i++) largest = Math.max(largest, Math.abs(a[i]! - b[i]!))
  return largest
}

beforeAll(async () => {
  await selectBackend()
})

describe.runIf(folder)('sixty steps of PEFT', () => {
  for (const [name, base, gradientCheckpointing] of [
    ['a_lora_qv', 'tiny-llama', false],
    ['b_rslora_all', 'tiny-llama', false],
    ['b_rslora_all', 'tiny-llama', true],
    ['c_dora', 'tiny-llama', false],
    ['c_dora', 'tiny-llama', true],
    ['d_bias_modules_to_save', 'tiny-llama', false],
    ['d2_bias_modules_to_save_qwen2', 'tiny-qwen2', false],
    ['e_ia3', 'tiny-llama', false],
    ['e_ia3', 'tiny-llama', true],
    ['f_prompt_tuning', 'tiny-llama', false],
    ['f_prompt_tuning', 'tiny-llama', true],
  ] as const)
    it(`${name}${gradientCheckpointing ? ' with checkpointing' : ''}: losses, norms, final adapter, logits, merge`, async () => {
      const trajectory = await readJsonFile<Trajectory>(join(folder!, name, 'trajectory.json'))
      const batches = await openSafetensors(join(folder!, 'batches.safetensors'))
      const micro = await goldenBatches()
      const model = await loadModel(join(folder!, '..', base))
      const peft = await loadPeftModel(model, join(folder!, name, 'initial'))
      const parameters = peft.parameters()
      const tensorsAfter: number[] = []
      for (const { step, loss, norm, lr, numItems } of goldenSteps(model, parameters, micro, {
        gradientCheckpointing,
      })) {
        expect(numItems).toBe(trajectory.target_tokens[step])
        expect(Math.abs(loss / trajectory.loss[step]! - 1), `loss of step ${step}`).toBeLessThan(1e-4)
        expect(Math.abs(norm / trajectory.grad_norm[step]! - 1), `norm of step ${step}`).toBeLessThan(1e-3)
        expect(lr).toBeCloseTo(trajectory.lr[step]!, 12)
        tensorsAfter.push(tf.memory().numTensors)
      }
      expect(tensorsAfter).toHaveLength(60)
      expect(tensorsAfter[59]).toBe(tensorsAfter[0])

      const final = await openSafetensors(join(folder!, name, 'final', 'adapter_model.safetensors'))
      for (const [key, variable] of parameters)
        expect(largestDifference(variable.dataSync(), (await tensor(final, key)).values), key).toBeLessThan(1e-4)
      const golden = await openSafetensors(join(folder!, name, 'tensors.safetensors'))
      const logitsOf = (ids: number[]) =>
        tf.tidy(() => model.logits(model.forward(packSequences([ids]))).dataSync() as Float32Array)
      for (const i of [0, 1]) {
        const ids = (await tensor(batches, `eval.${i}.input_ids`)).values as number[]
        // Rows of virtual tokens come first; we do not return them.
        const logits = (await tensor(golden, `logits_final.${i}`)).values.slice(-ids.length * model.config.vocabSize)
        expect(largestDifference(logitsOf(ids), logits)).toBeLessThan(1e-4)
      }
      const mergeable = golden.tensors.has('logits_merged.0')
      if (mergeable) peft.mergeAndUnload()
      else peft.unload()
      for (const i of mergeable ? [0, 1] : []) {
        const ids = (await tensor(batches, `eval.${i}.input_ids`)).values as number[]
        expect(largestDifference(logitsOf(ids), (await tensor(golden, `logits_merged.${i}`)).values)).toBeLessThan(1e-4)
      }
      await Promise.all([batches.close(), final.close(), golden.close()])
      model.dispose()
    })
})
