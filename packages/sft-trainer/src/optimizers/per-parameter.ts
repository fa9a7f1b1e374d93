import type * as tf from '@tensorflow/tfjs-core'
import type { Optimizer, ParameterGroup } from './optimizer'
import { type Layout, StateTensors } from './state-tensors'

/** Everything the update of one parameter needs. */
export interface ParameterUpdate<Key extends string> {
  param: tf.Variable
  grad: tf.Tensor
  /** What the layout names for this parameter, and nothing else. */
  state: Record<Key, tf.Variable>
  /** With the group's `lrScale` in it. */
  lr: number
  weightDecay: number
  gradScale: number
  /** 1 at the first step. */
  step: number
}

export interface PerParameterOptions<Key extends string> {
  groups: readonly ParameterGroup[]
  /** What is kept for a parameter, under the names of torch or bitsandbytes. */
  layout: Layout<Key>
  /** Changes `param` and `state` in place and leaves no tensor behind. */
  update: (update: ParameterUpdate<Key>) => void
}

/** An optimizer that treats every parameter by itself: all that differs between them is their state and their update. */
export function perParameterOptimizer<Key extends string>(options: PerParameterOptions<Key>): Optimizer {
  const { groups, layout, update } = options
  const states = new StateTensors(groups, layout)
  let step = 0
  return {
    step(grads, lr, gradScale) {
      step++
      for (const { parameters, lrScale, weightDecay } of groups)
        for (const [name, param] of parameters) {
          const grad = grads.get(name)!
          update({ param, grad, state: states.of(name, param), lr: lr * lrScale, weightDecay, gradScale, step })
        }
    },
    scalars: () => ({ step }),
    tensors: () => states.tensors(),
    async load(scalars, file) {
      step = scalars.step ?? 0
      if (step > 0) await states.load(file)
    },
    bytes: () => states.bytes(),
    dispose: () => states.dispose(),
  }
}
