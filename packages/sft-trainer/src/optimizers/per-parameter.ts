import type * as tf from '@tensorflow/tfjs-core'
import type { Optimizer, ParameterGroup } from './optimizer'
import { type Layout, StateTensors } from './state-tensors'

/** What all parameters of a group have in common in a step. */
export interface StepSettings {
  /** With the group's `lrScale` in it. */
  lr: number
  weightDecay: number
  gradScale: number
  /** 1 at the first step. */
  step: number
}

/** What the update of one parameter needs beside the settings. */
export interface ParameterTensors<Key extends string> {
  param: tf.Variable
  grad: tf.Tensor
  /** What the layout names for this parameter, and nothing else. */
  state: Record<Key, tf.Variable>
}

/** Changes `param` and `state` in place and leaves no tensor behind: of one parameter, or of a whole group in one call. */
export type Update<Key extends string> =
  | { update: (update: ParameterTensors<Key> & StepSettings) => void }
  | { updateGroup: (parameters: ParameterTensors<Key>[], settings: StepSettings) => void }

export type PerParameterOptions<Key extends string> = Update<Key> & {
  groups: readonly ParameterGroup[]
  /** What is kept may leave the device when its memory is short. Default false. */
  pageable?: boolean
  /** What is kept for a parameter, under the names of torch or bitsandbytes. */
  layout: Layout<Key>
}

/** An optimizer that treats every parameter by itself: all that differs between them is their state and their update. */
export function perParameterOptimizer<Key extends string>(options: PerParameterOptions<Key>): Optimizer {
  const { groups, layout, pageable = false } = options
  const states = new StateTensors(groups, layout, pageable)
  let step = 0
  return {
    step(grads, lr, gradScale) {
      step++
      for (const { parameters, lrScale, weightDecay } of groups) {
        const list = [...parameters].map(([name, param]) => {
          return { param, grad: grads.get(name)!, state: states.of(name, param) }
        })
        const settings = { lr: lr * lrScale, weightDecay, gradScale, step }
        if ('updateGroup' in options) options.updateGroup(list, settings)
        else for (const tensors of list) options.update({ ...tensors, ...settings })
        for (const name of parameters.keys()) states.mark(name)
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
