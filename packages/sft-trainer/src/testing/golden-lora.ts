import { join } from 'node:path'
import * as tf from '@tensorflow/tfjs-core'
import { gradNorm } from '@tunesmith/backend'
import { collate, type PackedBatch } from '@tunesmith/datasets'
import { openSafetensors, type SafetensorsFile } from '@tunesmith/hub'
import type { CausalLM } from '@tunesmith/models'
import { sharedPath } from '@tunesmith/tooling/shared'
import { forwardBackward } from '../loop/micro-batch'
import { sftObjective } from '../loop/objective'
import { adamW } from '../optimizers/adamw'
import { createSchedule } from '../schedules'

/** PEFT's trajectories of sixty steps; undefined where they are not. */
export const goldens = sharedPath('goldens/lora')

/** What PEFT measured in each step. */
export interface Trajectory {
  loss: number[]
  grad_norm: number[]
  lr: number[]
  target_tokens: number[]
}

export async function tensor(
  file: SafetensorsFile,
  name: string,
): Promise<{ shape: readonly number[]; values: number[] | Float32Array }> {
  const { dtype, shape } = file.tensors.get(name)!
  const bytes = await file.read(name)
  if (dtype === 'I64')
    return { shape, values: Array.from(new BigInt64Array(bytes.buffer, 0, bytes.byteLength / 8), Number) }
  return { shape, values: new Float32Array(bytes.buffer, 0, bytes.byteLength / 4) }
}

/** A right-padded rectangle of the goldens, without its padding. */
async function goldenBatch(file: SafetensorsFile, index: number): Promise<PackedBatch> {
  const part = (name: string) => tensor(file, `mb${index}.${name}`)
  const [ids, mask, labels] = await Promise.all([part('input_ids'), part('attention_mask'), part('labels')])
  const [rows, width] = ids.shape as [number, number]
  return collate(
    Array.from({ length: rows }, (_, row) => {
      const length = mask.values.slice(row * width, (row + 1) * width).filter((one) => one === 1).length
      const cut = (values: ArrayLike<number>) => Array.from(values).slice(row * width, row * width + length)
      return { inputIds: cut(ids.values), labels: cut(labels.values) }
    }),
  )
}

/** The twelve micro-batches of all trajectories; step s has those at 2s and 2s + 1, and so on from the start. */
export async function goldenBatches(): Promise<PackedBatch[]> {
  const file = await openSafetensors(join(goldens!, 'batches.safetensors'))
  const all = await Promise.all(Array.from({ length: 12 }, (_, i) => goldenBatch(file, i)))
  await file.close()
  return all
}

/** Trains as PEFT did for the goldens, two micro-batches a step; gives the figures of each step after its update. */
export function* goldenSteps(
  model: CausalLM,
  parameters: ReadonlyMap<string, tf.Variable>,
  batches: readonly PackedBatch[],
  { steps = 60, gradientCheckpointing = false } = {},
): Generator<{ step: number; loss: number; norm: number; lr: number; numItems: number }> {
  const objective = sftObjective(model, { lossType: 'nll', labelSmoothingFactor: 0, gradientCheckpointing })
  const optimizer = adamW([{ parameters, lrScale: 1, weightDecay: 0.01 }], { beta1: 0.9, beta2: 0.999, eps: 1e-8 })
  const schedule = createSchedule('linear', {
    warmupSteps: 6,
    totalSteps: 60,
    learningRate: 1e-3,
    kwargs: {},
    greaterIsBetter: false,
  })
  for (let step = 0; step < steps; step++) {
    const window = [batches[(2 * step) % 12]!, batches[(2 * step + 1) % 12]!]
    const numItems = window.reduce((sum, { numLabels }) => sum + numLabels, 0)
    const [one, two] = window.map((batch) => forwardBackward(objective, parameters, batch, 1 / numItems))
    const grads = new Map([...one!.grads].map(([key, grad]) => [key, tf.add(grad, two!.grads.get(key)!)]))
    const norm = gradNorm([...grads.values()])
    const lr = 1e-3 * schedule.factor(step)
    optimizer.step(grads, lr, Math.min(1, 1 / (norm + 1e-6)))
    tf.dispose([...grads.values(), ...one!.grads.values(), ...two!.grads.values()])
    yield { step, loss: (one!.sums.loss + two!.sums.loss) / numItems, norm, lr, numItems }
  }
  optimizer.dispose()
}
