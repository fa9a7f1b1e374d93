import * as tf from '@tensorflow/tfjs-core'
import { adamWStep } from '@tunesmith/backend'

export interface AdamWOptions {
  beta1: number
  beta2: number
  eps: number
  weightDecay: number
}

/** Transformers decays every weight but these. */
const NOT_DECAYED = /(^|\.)(bias|.*norm.*)(\.|$)/i

/** AdamW over named variables; its moments are float32 and made on the first step. */
export class AdamW {
  #step = 0
  readonly #moments = new Map<string, { expAvg: tf.Variable; expAvgSq: tf.Variable }>()

  constructor(
    readonly parameters: ReadonlyMap<string, tf.Variable>,
    readonly options: AdamWOptions,
  ) {}

  /**
   * One update in place.
   *
   * @param grads by parameter name.
   * @param gradScale multiplies every gradient first.
   */
  step(grads: ReadonlyMap<string, tf.Tensor>, lr: number, gradScale: number): void {
    this.#step++
    const { weightDecay, ...options } = this.options
    for (const [name, param] of this.parameters) {
      const moments = this.#moments.get(name) ?? tf.tidy(() => this.#newMoments(name, param))
      adamWStep(param, grads.get(name)!, moments.expAvg, moments.expAvgSq, {
        ...options,
        weightDecay: NOT_DECAYED.test(name) ? 0 : weightDecay,
        lr,
        gradScale,
        step: this.#step,
      })
    }
  }

  #newMoments(name: string, param: tf.Variable) {
    const zero = () => tf.variable(tf.zerosLike(param), false)
    const moments = { expAvg: zero(), expAvgSq: zero() }
    this.#moments.set(name, moments)
    return moments
  }

  dispose(): void {
    for (const { expAvg, expAvgSq } of this.#moments.values()) tf.dispose([expAvg, expAvgSq])
    this.#moments.clear()
  }
}
