import { createConversions } from './floats'
import { blocks4bitModule } from './four-bit/instance'
import {
  type CompareRange,
  createKernels,
  type DequantizeRange,
  type Kernels,
  type QuantizeRange,
} from './four-bit/kernels'
import { type GgufKernels, type GgufRange, ggufKernelsHere } from './gguf/kernels'
import { createInt8Kernels, type Int8CompareRange, type Int8Kernels, type Int8Range } from './int8-kernels'

/** Work on one weight that threads may share. */
export interface Task<Result> {
  method: keyof Kernels | keyof Int8Kernels | keyof GgufKernels
  range: QuantizeRange | DequantizeRange | CompareRange | Int8Range | Int8CompareRange | GgufRange
  /** A share of the range is a multiple of it: elements of 4-bit weights, rows of int8 ones, blocks of GGUF. */
  unit: number
  /** What came of it, when the whole range is done. */
  finish(): Result
}

/** Elements of a 4-bit weight that the kernels take at a time: whole blocks. */
export const CHUNK = 65536

function allKernels(): Kernels & Int8Kernels & GgufKernels {
  const conversions = createConversions()
  return {
    ...createKernels(blocks4bitModule(), conversions),
    ...createInt8Kernels(conversions),
    ...ggufKernelsHere(conversions),
  }
}
let kernels: ReturnType<typeof allKernels> | undefined

/** Does it all in this thread. */
export function runHere<Result>({ method, range, finish }: Task<Result>): Result {
  kernels ??= allKernels()
  const kernel = kernels[method] as (range: Task<Result>['range']) => void
  kernel(range)
  return finish()
}
