import * as tf from '@tensorflow/tfjs-core'
import { adamWStep } from '@tunesmith/backend'
import { TunesmithError } from '@tunesmith/core'
import type { SafetensorsFile, TensorToWrite } from '@tunesmith/hub'
import type { Optimizer, ParameterGroup } from './optimizer'

export interface AdamWOptions {
  beta1: number
  beta2: number
  eps: number
}

/** The moments' names in torch and in checkpoints. */
const MOMENTS = ['exp_avg', 'exp_avg_sq'] as const
type Moments = Record<(typeof MOMENTS)[number], tf.Variable>

/** AdamW; its moments are float32 and made on the first step. */
export class AdamW implements Optimizer {
  #step = 0
  readonly #moments = new Map<string, Moments>()

  constructor(
    readonly groups: readonly ParameterGroup[],
    readonly options: AdamWOptions,
  ) {}

  step(grads: ReadonlyMap<string, tf.Tensor>, lr: number, gradScale: number): void {
    this.#step++
    for (const { parameters, lrScale, weightDecay } of this.groups)
      for (const [name, param] of parameters) {
        const { exp_avg, exp_avg_sq } = this.#momentsOf(name, param)
        const attrs = { ...this.options, weightDecay, lr: lr * lrScale, gradScale, step: this.#step }
        adamWStep(param, grads.get(name)!, exp_avg, exp_avg_sq, attrs)
      }
  }

  #momentsOf(name: string, param: tf.Variable): Moments {
    const known = this.#moments.get(name)
    if (known) return known
    const zero = () => tf.tidy(() => tf.variable(tf.zerosLike(param), false))
    const moments = { exp_avg: zero(), exp_avg_sq: zero() }
    this.#moments.set(name, moments)
    return moments
  }

  scalars(): Record<string, number> {
    return { step: this.#step }
  }

  *tensors(): Generator<TensorToWrite> {
    for (const [name, moments] of this.#moments)
      for (const key of MOMENTS) {
        const variable = moments[key]
        yield { name: `${name}.${key}`, dtype: 'F32', shape: variable.shape, data: async () => bytesOf(variable) }
      }
  }

  async load({ step = 0 }: Record<string, number>, file: SafetensorsFile): Promise<void> {
    this.#step = step
    if (step === 0) return
    for (const { parameters } of this.groups)
      for (const [name, param] of parameters)
        for (const key of MOMENTS) {
          const full = `${name}.${key}`
          const found = file.tensors.get(full)
          if (found?.shape.join() !== param.shape.join())
            throw new TunesmithError(`The optimizer state of ${full} is missing or of another shape`, {
              code: 'incompatible',
              where: full,
              remedy: 'Resume with the model, adapter and optimizer the checkpoint was saved with',
            })
          const bytes = await file.read(full)
          const values = new Float32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 4)
          const moment = this.#momentsOf(name, param)[key]
          tf.tidy(() => moment.assign(tf.tensor(values, param.shape)))
        }
  }

  bytes(): number {
    return this.groups.reduce(
      (sum, { parameters }) => sum + 8 * [...parameters.values()].reduce((n, p) => n + p.size, 0),
      0,
    )
  }

  dispose(): void {
    for (const moments of this.#moments.values()) tf.dispose([moments.exp_avg, moments.exp_avg_sq])
    this.#moments.clear()
  }
}

function bytesOf(variable: tf.Variable): Uint8Array {
  const values = variable.dataSync() as Float32Array
  return new Uint8Array(values.buffer, values.byteOffset, values.byteLength)
}
