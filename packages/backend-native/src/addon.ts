import { existsSync } from 'node:fs'
import { createRequire } from 'node:module'
import { fileURLToPath } from 'node:url'
import { bindOperations } from '@tunesmith/backend/contract'
import { TunesmithError } from '@tunesmith/core'

/** What a field of a call may be; null for a tensor that is not there. */
type Value = number | boolean | Float32Array | Int32Array | Float64Array | null
type BoundKernel = (...values: Value[]) => boolean

/** The functions of the addon. */
export interface Addon {
  isa(): string
  threads(): number
  setThreads(threads: number): void
  /** Of products with 16-bit and quantized weights: `bf16` or `f32`. */
  precision(): string
  /** Returns false where the processor has no such products. */
  setPrecision(precision: string): boolean
  trimScratch(): void
  allocateBuffer(bytes: number): ArrayBuffer | null
  /** A part of a file as memory; null where that cannot be. */
  mapFile(path: string, offset: number, bytes: number): ArrayBuffer | null
  freeBuffer(buffer: ArrayBuffer): boolean
  /** A kernel or operation as a function of the values of these fields. It returns false without memory to work in. */
  bind(name: string, fields: readonly string[]): BoundKernel | undefined
}

const OPERATIONS = {
  binary: ['op', 'mode', 'outer', 'inner', 'a', 'b', 'y'],
  unary: ['op', 'size', 'x', 'y'],
  softmax: ['rows', 'cols', 'x', 'y'],
  reduceSum: ['outer', 'axis', 'inner', 'x', 'y'],
  transpose2d: ['rows', 'cols', 'x', 'y'],
  matMul: ['batch', 'm', 'n', 'k', 'transposeA', 'transposeB', 'aBatched', 'bBatched', 'a', 'b', 'c'],
  EmbeddingLookup: ['tokens', 'format', 'roundTo', 'outFeatures', 'inFeatures', 'blockSize', 'weight', 'ids', 'y'],
} as const

/** Calls a bound kernel; what it lacks is memory. */
export function compute(name: string, kernel: BoundKernel, values: unknown[]): void {
  if (kernel(...(values as Value[]))) return
  throw new TunesmithError(`${name}: no memory to work in`, {
    code: 'out_of_memory',
    remedy: 'Use shorter sequences or a smaller batch',
  })
}

/** @throws {TunesmithError} `backend` when the addon is of another version and lacks it. */
export function bindKernel(addon: Addon, name: string, fields: readonly string[]): BoundKernel {
  const kernel = addon.bind?.(name, fields)
  if (kernel) return kernel
  throw new TunesmithError(`The native addon is of another version than its package: it has no kernel "${name}"`, {
    code: 'backend',
    remedy: 'Run `npm run build:addon` in @tunesmith/backend-native, or install the same version of all its packages',
  })
}

/** What TensorFlow.js' own kernels call in the addon. */
export const operationsOf = (addon: Addon) =>
  bindOperations<typeof OPERATIONS, Value>(OPERATIONS, (name, fields) => {
    const kernel = bindKernel(addon, name, fields)
    return (values) => compute(name, kernel, values)
  })

let loaded: Addon | undefined

/**
 * The native addon: a package prebuilt for this platform, else what `npm run build:addon` made.
 *
 * @throws {TunesmithError} `backend` when neither is there or the file does not load.
 */
export function loadAddon(): Addon {
  if (loaded) return loaded
  const require = createRequire(import.meta.url)
  const prebuilt = `@tunesmith/backend-native-${process.platform}-${process.arch}`
  const built = fileURLToPath(new URL('../build/Release/tunesmith_native.node', import.meta.url))
  const problems: string[] = []
  for (const [name, present] of [
    [prebuilt, () => require.resolve(prebuilt) !== ''],
    [built, () => existsSync(built)],
  ] as const)
    try {
      if (!present()) throw new Error('not there')
      loaded = require(name) as Addon
      return loaded
    } catch (error) {
      problems.push(`${name}: ${(error as Error).message.split('\n')[0]}`)
    }
  throw new TunesmithError(`The native addon could not be loaded: ${problems.join('; ')}`, {
    code: 'backend',
    remedy: 'Run `npm run build:addon` in @tunesmith/backend-native (needs a C++ compiler and Python 3)',
  })
}
