import {
  type DataType,
  getKernel,
  type KernelFunc,
  type NamedTensorInfoMap,
  registerKernel,
  type TensorInfo,
  unregisterKernel,
  util,
} from '@tensorflow/tfjs-core'
import { TunesmithError } from '@tunesmith/core'
import type { WeightAttrs } from './attributes'

// What 4-bit values are rounded to, in the addon's order.
const ROUNDINGS = ['none', 'bf16', 'f16']

// Code of the format in the addon and elements per 32-bit word; FP4 is NF4 with another code table.
const FORMATS: Record<string, [code: number, perWord: number]> = {
  f32: [0, 1],
  bf16: [1, 2],
  f16: [2, 2],
  nf4: [3, 8],
  fp4: [3, 8],
  int8: [4, 4],
}

/** Storage format, rounding, rows, columns, block size, elements, scales and code table of a weight, in the addon's order. */
export type WeightArgs<Floats = Float32Array, Ints = Int32Array> = [
  format: number,
  rounding: number,
  rows: number,
  cols: number,
  blockSize: number,
  data: Floats | Ints,
  scale: Floats | null,
  code: Floats | null,
]

/** What a backend hands to its addon for a tensor: its array, or a handle of device memory. */
export interface KernelMemory {
  floats(x: TensorInfo): unknown
  ints(x: TensorInfo): unknown
}
type Floats<Backend extends KernelMemory> = ReturnType<Backend['floats']>
type Ints<Backend extends KernelMemory> = ReturnType<Backend['ints']>

/** One call of a kernel: checked access to its inputs. */
export class KernelInputs<Backend extends KernelMemory> {
  constructor(
    readonly kernel: string,
    readonly inputs: NamedTensorInfoMap,
    readonly backend: Backend,
  ) {}

  fail(problem: string): never {
    throw new TunesmithError(`${this.kernel}: ${problem}`, { code: 'invalid_data', where: this.kernel })
  }

  has(name: string): boolean {
    return this.inputs[name] != null
  }

  /** The input, which must have this type and these sizes (-1: any). */
  info(name: string, dtype: DataType, shape: readonly number[]): TensorInfo {
    const x = this.inputs[name]
    if (!x) this.fail(`input "${name}" is missing`)
    if (x.dtype !== dtype) this.fail(`"${name}" must be ${dtype}, not ${x.dtype}`)
    const fits = x.shape.length === shape.length && shape.every((size, i) => size === -1 || size === x.shape[i])
    if (!fits)
      this.fail(
        `"${name}" must have shape [${shape.map((n) => (n < 0 ? '?' : n)).join(', ')}], not [${x.shape.join(', ')}]`,
      )
    return x
  }

  floats(name: string, ...shape: number[]): Floats<Backend> {
    return this.backend.floats(this.info(name, 'float32', shape)) as Floats<Backend>
  }

  optionalFloats(name: string, ...shape: number[]): Floats<Backend> | null {
    return this.has(name) ? this.floats(name, ...shape) : null
  }

  ints(name: string, ...shape: number[]): Ints<Backend> {
    return this.backend.ints(this.info(name, 'int32', shape)) as Ints<Backend>
  }

  /** `[rows, columns]` of a matrix input. */
  sizes(name: string): [number, number] {
    return this.info(name, 'float32', [-1, -1]).shape as [number, number]
  }

  /** The weight of a linear layer, `[outFeatures, inFeatures]`, in whatever format it has. */
  weight({
    format,
    outFeatures,
    inFeatures,
    blockSize = 0,
    roundTo = 'none',
  }: WeightAttrs): WeightArgs<Floats<Backend>, Ints<Backend>> {
    const known = FORMATS[format]
    if (!known) this.fail(`unknown weight format "${format}"; known: ${Object.keys(FORMATS).join(', ')}`)
    for (const [name, n] of Object.entries({ outFeatures, inFeatures }))
      if (!Number.isSafeInteger(n) || n < 0) this.fail(`${name} must be a size, not ${n}`)
    const [code, perWord] = known
    const elements = outFeatures * inFeatures
    if (format === 'f32')
      return [code, 0, outFeatures, inFeatures, 1, this.floats('weight', outFeatures, inFeatures), null, null]
    const words = this.inputs.weight
    if (!words) this.fail('input "weight" is missing')
    const needed = Math.ceil(elements / perWord)
    if (words.dtype !== 'int32' || util.sizeFromShape(words.shape) !== needed)
      this.fail(
        `a ${format} weight [${outFeatures}, ${inFeatures}] must be int32 [${needed}], ` +
          `not ${words.dtype} [${words.shape.join(', ')}]`,
      )
    const data = this.backend.ints(words) as Ints<Backend>
    if (format === 'int8') return [code, 0, outFeatures, inFeatures, 1, data, this.flat('scale', outFeatures), null]
    if (perWord === 2) return [code, 0, outFeatures, inFeatures, 1, data, null, null]
    if (!Number.isSafeInteger(blockSize) || blockSize < 1) this.fail(`blockSize must be at least 1, not ${blockSize}`)
    const absmax = this.flat('absmax', Math.ceil(elements / blockSize))
    const rounding = ROUNDINGS.indexOf(roundTo)
    if (rounding < 0) this.fail(`unknown roundTo "${roundTo}"; known: ${ROUNDINGS.join(', ')}`)
    return [code, rounding, outFeatures, inFeatures, blockSize, data, absmax, this.flat('code', 16)]
  }

  /** Shapes of the inputs `param0`, `param1`, ... of a kernel that takes a list. */
  listed(): number[][] {
    const shapes: number[][] = []
    for (let x = this.inputs.param0; x; x = this.inputs[`param${shapes.length}`]) shapes.push(x.shape)
    return shapes
  }

  /** A float32 input of this many elements, whatever its shape. */
  flat(name: string, size: number): Floats<Backend> {
    const x = this.inputs[name]
    if (!x) this.fail(`input "${name}" is missing`)
    if (x.dtype !== 'float32' || util.sizeFromShape(x.shape) !== size)
      this.fail(`"${name}" must be float32 with ${size} elements, not ${x.dtype} [${x.shape.join(', ')}]`)
    return this.backend.floats(x) as Floats<Backend>
  }
}

/** Registers a kernel for a backend in place of what is there. */
export function replaceKernel(backendName: string, kernelName: string, kernelFunc: KernelFunc): void {
  if (getKernel(kernelName, backendName)) unregisterKernel(kernelName, backendName)
  registerKernel({ kernelName, backendName, kernelFunc })
}
