import * as tf from '@tensorflow/tfjs-core'
import type { OptimizerStep } from '../../adapter'
import { budgetAt } from './budget'
import type { AdaLoraConfig } from './config'

/** The factors of one module: the update is `B (E * A)`. */
export interface Factors {
  /** `[r, in]` */
  lora_A: tf.Variable<tf.Rank.R2>
  /** `[out, r]` */
  lora_B: tf.Variable<tf.Rank.R2>
  /** Singular values, `[r, 1]` */
  lora_E: tf.Variable<tf.Rank.R2>
}
const PARTS = ['lora_A', 'lora_B', 'lora_E'] as const

/** What is remembered of one parameter. */
interface Importance {
  parameter: tf.Variable
  /** Smoothed |parameter * gradient|. */
  sensitivity: tf.Variable
  /** Smoothed distance of |parameter * gradient| from that. */
  uncertainty: tf.Variable
}

interface Module {
  name: string
  factors: Factors
  importance: Record<keyof Factors, Importance>
  /** 1 for each singular value in use, `[r, 1]`. */
  mask: tf.Variable<tf.Rank.R2>
}

const zerosLike = (tensor: tf.Tensor) => tf.tidy(() => tf.variable(tf.zerosLike(tensor), false))

/** Decides which singular values of which module are worth keeping (Zhang et al. 2023, sections 3.2 and 3.3). */
export class RankAllocator {
  readonly #config: AdaLoraConfig
  readonly #modules: Module[] = []
  /** What must survive a resume, by name. */
  readonly state: Record<string, tf.Variable> = {}

  constructor(config: AdaLoraConfig) {
    this.#config = config
  }

  add(name: string, factors: Factors, used: readonly boolean[]): void {
    const of = (part: keyof Factors): Importance => {
      const parameter = factors[part]
      const [sensitivity, uncertainty] = [zerosLike(parameter), zerosLike(parameter)]
      this.state[`${name}.${part}.exp_avg_ipt`] = sensitivity
      this.state[`${name}.${part}.exp_avg_unc`] = uncertainty
      return { parameter, sensitivity, uncertainty }
    }
    const mask = tf.tidy(() => tf.variable(tf.tensor2d(used.map(Number), [used.length, 1]), false))
    this.state[`${name}.rank_mask`] = mask
    const importance = { lora_A: of('lora_A'), lora_B: of('lora_B'), lora_E: of('lora_E') }
    this.#modules.push({ name, factors, importance, mask })
  }

  /** The singular values of a module that are in use; undefined when all are. */
  used(name: string): boolean[] | undefined {
    const module = this.#modules.find((module) => module.name === name)
    const used = Array.from(module?.mask.dataSync() ?? [], (one) => one === 1)
    return used.every(Boolean) ? undefined : used
  }

  /** PEFT's `rank_pattern`; null as long as every module has its whole rank. */
  rankPattern(): Record<string, boolean[]> | null {
    if (this.#modules.every(({ name }) => !this.used(name))) return null
    return Object.fromEntries(
      this.#modules.map(({ name, factors }) => [
        `${name}.lora_E`,
        this.used(name) ?? Array(factors.lora_E.size).fill(true),
      ]),
    )
  }

  /** Mean distance of the factors from orthogonality, times its weight. */
  penalty(): tf.Scalar {
    return tf.tidy(() => {
      const distances = this.#modules.flatMap(({ factors: { lora_A: a, lora_B: b } }) =>
        [tf.matMul(a, a, false, true), tf.matMul(b, b, true, false)].map((product) =>
          tf.sqrt(tf.sum(tf.square(tf.sub(product, tf.eye(product.shape[0]!))))),
        ),
      )
      return tf.mul(tf.mean(tf.stack(distances)), this.#config.orthRegWeight) as tf.Scalar
    })
  }

  /** After an update of the parameters: remembers importances, and lets go of ranks when it is time. */
  afterOptimizerStep(event: OptimizerStep): void {
    const end = this.#config.totalStep - this.#config.tfinal
    tf.tidy(() => {
      if (event.step < end) this.#remember(event)
      const { ranks, allocate } = budgetAt(event.step, this.#modules.length, this.#config)
      if (event.step <= end && (allocate || event.step === end)) this.#allocate(ranks)
      if (event.step >= end || allocate)
        for (const { factors, mask } of this.#modules) factors.lora_E.assign(tf.mul(factors.lora_E, mask))
    })
  }

  #remember({ gradient, gradScale }: OptimizerStep): void {
    const { beta1, beta2 } = this.#config
    for (const { importance } of this.#modules)
      for (const part of PARTS) {
        const { parameter, sensitivity, uncertainty } = importance[part]
        const grad = gradient(parameter)
        if (!grad) continue
        const now = tf.abs(tf.mul(parameter, tf.mul(grad, gradScale)))
        sensitivity.assign(tf.add(tf.mul(sensitivity, beta1), tf.mul(now, 1 - beta1)))
        const off = tf.abs(tf.sub(now, sensitivity))
        uncertainty.assign(tf.add(tf.mul(uncertainty, beta2), tf.mul(off, 1 - beta2)))
      }
  }

  /** Keeps the most important triplets of a singular value and its two vectors, over all modules. */
  #allocate(ranks: number): void {
    const scores = this.#modules.map(({ importance, mask }) => {
      const score = ({ sensitivity, uncertainty }: Importance) => tf.mul(sensitivity, uncertainty)
      const vectors = tf.add(tf.mean(score(importance.lora_A), 1), tf.mean(score(importance.lora_B), 0))
      return tf.add(tf.reshape(score(importance.lora_E), [mask.size]), vectors).dataSync() as Float32Array
    })
    const sorted = Float32Array.from(scores.flatMap((score) => [...score])).sort()
    const lost = sorted.length - ranks
    const threshold = lost > 0 ? sorted[lost - 1]! : Number.NEGATIVE_INFINITY
    for (const [i, { mask }] of this.#modules.entries())
      mask.assign(
        tf.tensor2d(
          Array.from(scores[i]!, (score) => (score <= threshold ? 0 : 1)),
          [mask.size, 1],
        ),
      )
  }
}
