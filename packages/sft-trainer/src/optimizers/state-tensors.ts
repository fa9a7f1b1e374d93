import * as tf from '@tensorflow/tfjs-core'
import { markOptimizerState } from '@tunesmith/backend'
import { TunesmithError } from '@tunesmith/core'
import type { TensorReader, TensorToWrite } from '@tunesmith/hub'
import type { ParameterGroup } from './optimizer'

/** One of the tensors an optimizer keeps beside a parameter. */
export interface StateTensor {
  /** In a checkpoint. `U8` bytes lie four to an int32 in memory. */
  dtype: 'F32' | 'U8'
  shape: readonly number[]
  /** What it is filled with at first. Default 0. */
  initial?: number
}

/** What is kept for a parameter, which may depend on its size. */
export type Layout<Key extends string> = (name: string, param: tf.Variable) => Partial<Record<Key, StateTensor>>

type Variables<Key extends string> = Record<Key, tf.Variable>

/** The tensors an optimizer keeps for each parameter: made when first needed, saved and loaded by name. */
export class StateTensors<Key extends string> {
  readonly #made = new Map<string, Variables<Key>>()
  /** Values the backend knows as an optimizer's. */
  readonly #marked = new WeakSet<object>()

  constructor(
    readonly groups: readonly ParameterGroup[],
    readonly layout: Layout<Key>,
    /** They may leave the device when its memory is short. */
    readonly pageable = false,
  ) {}

  of(name: string, param: tf.Variable): Variables<Key> {
    const known = this.#made.get(name)
    if (known) return known
    const made = {} as Variables<Key>
    try {
      for (const [key, tensor] of this.#entries(name, param)) made[key] = newVariable(tensor)
    } catch (error) {
      tf.dispose(Object.values(made) as tf.Variable[])
      throw error
    }
    this.#made.set(name, made)
    this.mark(name)
    return made
  }

  /** Tells the backend what these tensors are; again after an update that may have assigned new values. */
  mark(name: string): void {
    for (const variable of Object.values(this.#made.get(name) ?? {}) as tf.Variable[]) {
      if (this.#marked.has(variable.dataId)) continue
      markOptimizerState(variable, this.pageable)
      this.#marked.add(variable.dataId)
    }
  }

  #entries(name: string, param: tf.Variable): [Key, StateTensor][] {
    return Object.entries(this.layout(name, param)) as [Key, StateTensor][]
  }

  *#all(): Generator<{ name: string; param: tf.Variable; key: Key; tensor: StateTensor }> {
    for (const { parameters } of this.groups)
      for (const [name, param] of parameters)
        for (const [key, tensor] of this.#entries(name, param)) yield { name, param, key, tensor }
  }

  *tensors(): Generator<TensorToWrite> {
    for (const { name, param, key, tensor } of this.#all()) {
      if (!this.#made.has(name)) continue
      const { dtype, shape } = tensor
      yield { name: `${name}.${key}`, dtype, shape, data: () => bytesOf(this.of(name, param)[key], tensor) }
    }
  }

  /** @throws {TunesmithError} `incompatible` when a tensor is missing or of another shape. */
  async load(file: TensorReader): Promise<void> {
    for (const { name, param, key, tensor } of this.#all()) {
      const full = `${name}.${key}`
      const found = file.tensors.get(full)
      if (found?.shape.join() !== tensor.shape.join() || found.dtype !== tensor.dtype)
        throw new TunesmithError(`The optimizer state of ${full} is missing, or of another shape or type`, {
          code: 'incompatible',
          where: full,
          remedy: 'Resume with the model, adapter and optimizer the checkpoint was saved with',
        })
      fill(this.of(name, param)[key], await file.read(full), tensor)
      this.mark(name)
    }
  }

  /** Of all tensors, made or not. */
  bytes(): number {
    let sum = 0
    for (const { tensor } of this.#all()) sum += (tensor.dtype === 'F32' ? 4 : 1) * elements(tensor)
    return sum
  }

  dispose(): void {
    for (const variables of this.#made.values()) tf.dispose(Object.values(variables) as tf.Variable[])
    this.#made.clear()
  }
}

const elements = ({ shape }: StateTensor) => shape.reduce((product, n) => product * n, 1)

function newVariable(tensor: StateTensor): tf.Variable {
  const { dtype, shape, initial = 0 } = tensor
  if (dtype === 'F32') return tf.tidy(() => tf.variable(tf.fill([...shape], initial, 'float32'), false))
  const words = new Int32Array(Math.ceil(elements(tensor) / 4))
  new Uint8Array(words.buffer).fill(initial, 0, elements(tensor))
  return tf.tidy(() => tf.variable(tf.tensor1d(words, 'int32'), false))
}

function bytesOf(variable: tf.Variable, tensor: StateTensor): Uint8Array {
  const { buffer, byteOffset, byteLength } = variable.dataSync()
  return new Uint8Array(buffer, byteOffset, tensor.dtype === 'F32' ? byteLength : elements(tensor))
}

function fill(variable: tf.Variable, bytes: Uint8Array, { dtype, shape }: StateTensor): void {
  const padded = new Uint8Array(Math.ceil(bytes.length / 4) * 4)
  padded.set(bytes)
  tf.tidy(() =>
    variable.assign(
      dtype === 'F32'
        ? tf.tensor(new Float32Array(padded.buffer), [...shape])
        : tf.tensor1d(new Int32Array(padded.buffer), 'int32'),
    ),
  )
}
