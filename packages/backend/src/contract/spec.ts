/**
 * The words of the kernels' table: what may be said about an attribute, an input and an output. Data and functions of
 * attributes only, so that any backend can read it.
 */
import type { TensorInfo } from '@tensorflow/tfjs-core'

/** A known size, a function of the attributes, or the name of an attribute or of a size that is alike wherever it occurs. */
export type Size = number | string | ((attrs: never) => number)

export interface Attribute<Value = unknown> {
  kind: 'number' | 'boolean' | 'name'
  /** Of a `name`: those there are. Addons get its position among them. */
  names?: readonly string[]
  /** When it is left out; an attribute without a default must be given. */
  default?: Value
  /** What a `name` names, for messages. */
  what?: string
  /** Of a number: what holds for every value, for the message, and whether it does. */
  rule?: [text: string, holds: (value: number) => boolean]
}

/**
 * How a backend may treat an input that is not only read:
 * - `parameter`: of a layer, changes seldom: may be kept in the type of activations.
 * - `indices`: integers whose values are checked, so that the host needs them as well.
 * - `trained`: a parameter that is written in place; `state`: what an optimizer writes beside it.
 * - `cache`: written in place, stored as activations are.
 */
type Role = 'parameter' | 'indices' | 'trained' | 'state' | 'cache'

export interface Input {
  dtype: 'float32' | 'int32'
  shape: readonly Size[]
  optional?: boolean
  role?: Role
}

export interface Output {
  /** An activation, or the gradient of one, is stored as the backend likes; statistics and gradients of parameters are float32. */
  kind: 'activation' | 'float32'
  shape: readonly Size[]
  /** The input whose memory may hold the output, if no other tensor has it. */
  over?: string
}

/** In lists of tensors: shaped as the first of its entry, or by the number of its elements. */
export interface Entry {
  dtype: 'float32' | 'int32'
  shape: 'alike' | ((size: number) => number)
  role?: Role
}

/** Undefined for attributes with which the tensor is absent. */
type When<Spec> = Spec | ((attrs: never) => Spec | undefined)

export interface Kernel {
  attrs: Record<string, Attribute>
  inputs: Record<string, When<Input>>
  /** In the order in which the kernel returns them. One that is absent comes out with no elements. */
  outputs: Record<string, When<Output>>
  /** Of a kernel that takes a list: inputs of each entry, named `param0`, `param1`, ... */
  entries?: Record<string, Entry>
  /** What is wrong with the attributes and sizes together. */
  check?: (attrs: never, size: (name: string) => number) => string | undefined
  /** What is wrong with the values of indices; a native backend checks the same in its own memory. */
  checkIndices?: (inputs: never, attrs: never) => string | undefined
}

export const floats = (...shape: Size[]) => ({ dtype: 'float32', shape }) as const
export const ints = (...shape: Size[]) => ({ dtype: 'int32', shape }) as const
export const indices = (...shape: Size[]) => ({ dtype: 'int32', shape, role: 'indices' }) as const
export const optional = <Spec extends Input>(input: Spec) => ({ ...input, optional: true }) as const
export const parameter = <Spec extends Input>(input: Spec) => ({ ...input, role: 'parameter' }) as const
export const activation = (...shape: Size[]): Output => ({ kind: 'activation', shape })
export const float32 = (...shape: Size[]): Output => ({ kind: 'float32', shape })
export const over = (input: string, output: Output): Output => ({ ...output, over: input })

export const number = (value?: number): Attribute<number> => ({ kind: 'number', default: value })
export const boolean = (value?: boolean): Attribute<boolean> => ({ kind: 'boolean', default: value })
export const size = (value?: number): Attribute<number> => ({
  ...number(value),
  rule: ['must be a size', (n: number) => Number.isSafeInteger(n) && n >= 0],
})
/** Counts from 1. */
export const ordinal: Attribute<number> = {
  kind: 'number',
  rule: ['counts from 1', (n: number) => Number.isSafeInteger(n) && n >= 1],
}
export const probability: Attribute<number> = {
  kind: 'number',
  rule: ['must be a dropout probability in [0, 1)', (p: number) => p >= 0 && p < 1],
}
export const name = <const Names extends readonly string[]>(
  names: Names,
  value?: Names[number],
  what?: string,
): Attribute<Names[number]> => ({ kind: 'name', names, default: value, what })

/** The attributes of a kernel as TypeScript sees them. */
export type AttrsOf<K extends Kernel> = {
  [Name in keyof K['attrs']]: K['attrs'][Name] extends Attribute<infer Value> ? Value : never
}

type Absent<K extends Kernel> = {
  [Name in keyof K['inputs']]: K['inputs'][Name] extends { optional: true } | ((attrs: never) => unknown) ? Name : never
}[keyof K['inputs']]

/** The inputs of a kernel by name. */
export type InputsOf<K extends Kernel, Tensor = TensorInfo> = {
  [Name in Exclude<keyof K['inputs'], Absent<K>>]: Tensor
} & { [Name in Absent<K>]?: Tensor | undefined }
