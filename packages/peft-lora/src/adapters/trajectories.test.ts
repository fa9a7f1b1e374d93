import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import * as tf from '@tensorflow/tfjs-core'
import { adamWStep, gradNorm, selectBackend, valueAndGrads } from '@tunesmith/backend'
import { openSafetensors, readFloats, readJsonFile, type SafetensorsFile } from '@tunesmith/hub'
import { loadModel, packSequences } from '@tunesmith/models'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { configFromJson } from '../config-json'
import { savePeftModel } from '../files'
import fixture from '../fixtures/trajectories.json' with { type: 'json' }
import { PeftModel } from '../peft-model'
import { largestDifference } from '../testing/measure'

interface Trajectory {
  config: { peft_type: string; [key: string]: unknown }
  loss: number[]
  grad_norm: number[]
  /** How many singular values are not zero after each step. */
  ranks?: number[]
  rank_pattern?: Record<string, boolean[]>
}

const fixtures = fileURLToPath(new URL('../fixtures', import.meta.url))
const base = fileURLToPath(new URL('../../../models/src/fixtures/llama', import.meta.url))
let tensors: SafetensorsFile
beforeAll(async () => {
  await selectBackend()
  tensors = await openSafetensors(join(fixtures, 'trajectories.safetensors'))
})
afterAll(() => tensors.close())

/** Where a parameter of ours lies in PEFT's: the name, and the rows. */
function placeOf(key: string, width: number): { name: string; rows?: [number, number] } {
  if (key === 'prompt_embeddings') return { name: 'prompt_encoder.embedding.weight' }
  const piece = /^(prompt_encoder\.transform\.2)\.(\d+)\.(keys|values)\.(.*)$/.exec(key)
  if (!piece) return { name: key }
  const first = (2 * Number(piece[2]) + (piece[3] === 'values' ? 1 : 0)) * width
  return { name: `${piece[1]}.${piece[4]}`, rows: [first, first + width] }
}

async function theirs(prefix: string, key: string, width: number): Promise<Float32Array> {
  const { name, rows } = placeOf(key, width)
  const values = await readFloats(tensors, `${prefix}.${name}`)
  if (!rows) return values
  const [, columns = 1] = tensors.tensors.get(`${prefix}.${name}`)!.shape
  return values.slice(rows[0] * columns, rows[1] * columns)
}

/** Packed sequences and their next-token labels. */
function batchOf(rows: { ids: number[]; prompt: number }[]) {
  const labels = rows.flatMap(({ ids, prompt }) => [...ids.slice(1).map((id, i) => (i + 1 < prompt ? -100 : id)), -100])
  return { input: packSequences(rows.map(({ ids }) => ids)), labels, count: labels.filter((l) => l >= 0).length }
}

describe('forty steps of PEFT', () => {
  const { learning_rate: lr, weight_decay: weightDecay, max_norm: maxNorm } = fixture.training
  for (const [name, given] of Object.entries(fixture.cases as unknown as Record<string, Trajectory>))
    for (const gradientCheckpointing of [false, true])
      it(`${name}${gradientCheckpointing ? ' with checkpointing' : ''}: losses, norms, final adapter, file`, async () => {
        const peft = new PeftModel(await loadModel(base))
        const { config } = configFromJson(given.config, name)
        peft.addConfigured('default', config, { seed: 0, loading: false })
        const { numKeyValueHeads, headDim } = peft.model.config
        const width = numKeyValueHeads * headDim
        const parameters = peft.parameters()
        for (const [key, variable] of parameters) {
          const values = await theirs(`${name}.initial`, key, width)
          tf.tidy(() => variable.assign(tf.tensor(values, variable.shape)))
        }
        const zeros = (like: tf.Tensor) => tf.tidy(() => tf.variable(tf.zerosLike(like), false))
        const moments = new Map([...parameters].map(([key, v]) => [key, [zeros(v), zeros(v)] as const]))
        const steps = given.loss.length
        for (let step = 1; step <= steps; step++) {
          const { input, labels, count } = batchOf(fixture.batches[(step - 1) % fixture.batches.length]!)
          const { value, grads } = valueAndGrads(() => {
            const loss = tf.div(
              peft.model.loss(input, labels, { gradientCheckpointing, training: true, seed: step }).loss,
              count,
            )
            const auxiliary = peft.auxiliaryLoss()
            return (auxiliary ? tf.add(loss, auxiliary) : loss) as tf.Scalar
          }, [...parameters.values()])
          const norm = gradNorm(grads)
          const loss = value.dataSync()[0]!
          expect(Math.abs(loss / given.loss[step - 1]! - 1), `loss of step ${step}`).toBeLessThan(1e-5)
          expect(Math.abs(norm / given.grad_norm[step - 1]! - 1), `norm of step ${step}`).toBeLessThan(1e-3)
          const gradScale = Math.min(1, maxNorm / (norm + 1e-6))
          const byKey = new Map([...parameters.keys()].map((key, i) => [key, grads[i]!]))
          for (const [key, grad] of byKey) {
            const [expAvg, expAvgSq] = moments.get(key)!
            const state = { lr, beta1: 0.9, beta2: 0.999, eps: 1e-8, weightDecay, step, gradScale }
            adamWStep(parameters.get(key)!, grad, expAvg as never, expAvgSq as never, state)
          }
          peft.afterOptimizerStep(step, steps, byKey, gradScale)
          tf.dispose([value, ...grads])
          if (!given.ranks) continue
          const values = [...parameters].flatMap(([key, e]) => (key.endsWith('lora_E') ? [...e.dataSync()] : []))
          expect(values.filter((one) => one !== 0).length, `ranks after step ${step}`).toBe(given.ranks[step - 1])
        }
        for (const [key, variable] of parameters)
          expect(largestDifference(variable.dataSync(), await theirs(`${name}.final`, key, width)), key).toBeLessThan(
            1e-4,
          )

        const folder = await mkdtemp(join(tmpdir(), 'tunesmith-trajectory-'))
        await savePeftModel(peft, folder)
        const saved = await openSafetensors(join(folder, 'adapter_model.safetensors'))
        const expected = [...tensors.tensors.keys()].filter((key) => key.startsWith(`${name}.file.`))
        expect([...saved.tensors.keys()].map((key) => `${name}.file.${key}`).sort()).toEqual(expected.sort())
        for (const key of saved.tensors.keys()) {
          const values = await readFloats(tensors, `${name}.file.${key}`)
          expect(largestDifference(await readFloats(saved, key), values), key).toBeLessThan(1e-4)
        }
        const json = await readJsonFile<{ rank_pattern?: unknown }>(join(folder, 'adapter_config.json'))
        if (given.rank_pattern) expect(json.rank_pattern).toEqual(given.rank_pattern)
        await saved.close()
        await rm(folder, { recursive: true })
        tf.dispose([...moments.values()].flat())
        peft.unload().dispose()
      })
})
