import * as tf from '@tensorflow/tfjs-core'
import { markOptimizerState } from '@tunesmith/backend'
import { incompatible } from '@tunesmith/core'
import type { Optimizer, ParameterGroup } from './optimizer'
import { bytesOf, fill, newVariable, type StateTensor, stateBytes } from './state-tensors'

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
  /** What is kept for a parameter, under the names of torch or bitsandbytes; may depend on its size. */
  layout: (name: string, param: tf.Variable) => Partial<Record<Key, StateTensor>>
}

/** An optimizer that treats every parameter by itself: all that differs between them is their state and their update. */
export function perParameterOptimizer<Key extends string>(options: PerParameterOptions<Key>): Optimizer {
  const { groups, layout, pageable = false } = options
  /** What is kept, by parameter: made when first needed. */
  const states = new Map<string, Record<Key, tf.Variable>>()
  /** Values the backend knows as an optimizer's. */
  const marked = new WeakSet<object>()
  let step = 0

  const entries = (name: string, param: tf.Variable) => Object.entries(layout(name, param)) as [Key, StateTensor][]
  const variablesOf = (state: object) => Object.values(state) as tf.Variable[]

  /** Tells the backend what these tensors are; again after an update that may have assigned new values. */
  function mark(state: object): void {
    for (const variable of variablesOf(state)) {
      if (marked.has(variable.dataId)) continue
      markOptimizerState(variable, pageable)
      marked.add(variable.dataId)
    }
  }

  function stateOf(name: string, param: tf.Variable): Record<Key, tf.Variable> {
    const known = states.get(name)
    if (known) return known
    const made = {} as Record<Key, tf.Variable>
    try {
      for (const [key, tensor] of entries(name, param)) made[key] = newVariable(tensor)
    } catch (error) {
      tf.dispose(variablesOf(made))
      throw error
    }
    states.set(name, made)
    mark(made)
    return made
  }

  function* all() {
    for (const { parameters } of groups)
      for (const [name, param] of parameters)
        for (const [key, tensor] of entries(name, param)) yield { name, param, key, tensor, full: `${name}.${key}` }
  }

  return {
    step(grads, lr, gradScale) {
      step++
      for (const { parameters, lrScale, weightDecay } of groups) {
        const list = [...parameters].map(([name, param]) => {
          return { param, grad: grads.get(name)!, state: stateOf(name, param) }
        })
        const settings = { lr: lr * lrScale, weightDecay, gradScale, step }
        if ('updateGroup' in options) options.updateGroup(list, settings)
        else for (const tensors of list) options.update({ ...tensors, ...settings })
        for (const { state } of list) mark(state)
      }
    },
    scalars: () => ({ step }),
    *tensors() {
      for (const { name, key, tensor, full } of all()) {
        const state = states.get(name)
        if (!state) continue
        const { dtype, shape } = tensor
        yield { name: full, dtype, shape, data: () => bytesOf(state[key], tensor) }
      }
    },
    async load(scalars, file) {
      step = scalars.step ?? 0
      if (step === 0) return
      for (const { name, param, key, tensor, full } of all()) {
        const found = file.tensors.get(full)
        if (found?.shape.join() !== tensor.shape.join() || found.dtype !== tensor.dtype)
          throw incompatible(`The optimizer state of ${full} is missing, or of another shape or type`, {
            where: full,
            remedy: 'Resume with the model, adapter and optimizer the checkpoint was saved with',
          })
        const state = stateOf(name, param)
        fill(state[key], await file.read(full), tensor)
        mark(state)
      }
    },
    bytes: () => [...all()].reduce((sum, { tensor }) => sum + stateBytes(tensor), 0),
    dispose() {
      for (const state of states.values()) tf.dispose(variablesOf(state))
      states.clear()
    },
  }
}
