import { existsSync } from 'node:fs'
import { createRequire } from 'node:module'
import { basename } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { CudaDiagnosis } from '@tunesmith/backend'
import { bindOperations } from '@tunesmith/backend/contract'
import { TunesmithError } from '@tunesmith/core'

/** A number that stands for device memory in the addon; 0 is none. */
export type Handle = number

/** How the addon stores a tensor: what TensorFlow.js calls float32 may be bf16. */
export const STORAGE = { f32: 0, bf16: 1, i32: 2 } as const
export type Storage = (typeof STORAGE)[keyof typeof STORAGE]

/** A device as the addon describes it. */
export interface CudaDevice {
  name: string
  totalBytes: number
  freeBytes: number
  /** Compute capability, e.g. `9.0`. */
  capability: string
  multiprocessors: number
  /** CUDA versions of the driver and of the addon, 13000 for 13.0. */
  driver: number
  runtime: number
  matrixProducts: string
  /** True for the test build, which runs the kernels on the CPU. */
  emulated: boolean
}

/** What the device's memory is used for, in bytes. */
export interface CudaMemory {
  /** In use by tensors and working memory. */
  live: number
  /** Free and kept for the next tensor. */
  cached: number
  /** The most that was in use at once. */
  peak: number
  /** Of tensors that were moved to the host: offloaded activations, states of paged optimizers. */
  away: number
  /** Pinned host memory that is kept for that, in use or not. */
  pinned: number
  /** Of the whole device, other programs included. */
  free: number
  total: number
  /** Operations whose results take the most, largest first. */
  consumers: { name: string; bytes: number; count: number }[]
  /** The same at the moment of the peak. */
  peakConsumers: { name: string; bytes: number; count: number }[]
}

/** Launches of one kernel for one operation. */
interface CudaLaunches {
  operation: string
  kernel: string
  launches: number
  /** On the device; 0 where it has no clock or none was asked for. */
  seconds: number
}

/** The functions of the CUDA addon. Tensors are handles; what goes wrong is thrown with `code` and `remedy`. */
export interface CudaAddon {
  open(device: number, precision: number): CudaDevice
  close(): void
  libraries(): NonNullable<CudaDiagnosis['libraries']>
  allocate(elements: number, storage: Storage, label: string): Handle
  free(handle: Handle): void
  upload(handle: Handle, values: Float32Array | Int32Array): void
  download(handle: Handle, values: Float32Array | Int32Array): void
  /** Begins to move a tensor to pinned host memory, behind the computation; its next use brings it back. */
  offload(handle: Handle): void
  /** Begins to bring a tensor back that was moved, if there is room. */
  prefetch(handle: Handle): void
  /** Counts the tensor as an optimizer's; a pageable one moves to the host when memory is short. */
  optimizerState(handle: Handle, pageable: boolean): void
  /** New values in the memory that tensors have: each tensor with its values, one after the other. */
  assign(...tensorsAndValues: (Handle | Float32Array | Int32Array)[]): void
  /** Until endCapture, kernels are written down instead of run, and memory comes from a pool of their own. */
  beginCapture(): void
  /** @param outputs how many of the tensors made meanwhile still exist. @returns the step's number. */
  endCapture(outputs: number): number
  abandonCapture(): void
  /**
   * Checks the values again that were checked while capturing, assigns them, and runs what was written down.
   *
   * @returns false when nothing was done, because memory that the step uses was given back.
   */
  launchStep(step: number, ...tensorsAndValues: (Handle | Float32Array | Int32Array)[]): boolean
  dropStep(step: number): void
  memory(): CudaMemory
  trim(): void
  resetPeak(): void
  synchronize(): void
  /** Counts launches from here on; `timed`: with events around each. */
  startProfile(timed: boolean): void
  /** The operation that the next launches belong to. */
  profileOperation(name: string): void
  stopProfile(): CudaLaunches[]
  /** The emulated build only: 0 forward, 1 reverse, 2 shuffled order of the threads of a block. */
  setSchedule?(schedule: number): void
  /** The emulated build only: which streams run as early as they can, the sum of 1 (compute) and 2 (copies). Default 0. */
  setStreamSchedule?(schedule: number): void

  /** A kernel or operation as a function of the values of these fields, and of the list of its entries. */
  bind(name: string, fields: readonly string[], entryFields: readonly string[]): (...values: Value[]) => void
}

/** What a field of a call may be: a number, a handle, integers on the host, a list or layout; null for what is not there. */
export type Value = number | boolean | Int32Array | Float64Array | null

const OPERATIONS = {
  binary: ['op', 'mode', 'outer', 'inner', 'a', 'b', 'y'],
  binaryNumber: ['op', 'size', 'x', 'number', 'reversed', 'y'],
  unary: ['op', 'size', 'x', 'y', 'p', 'q'],
  softmax: ['rows', 'cols', 'x', 'y'],
  reduceSum: ['outer', 'axis', 'inner', 'scale', 'x', 'y'],
  transpose2d: ['rows', 'cols', 'x', 'y'],
  convert: ['size', 'x', 'y'],
  fill: ['size', 'value', 'y'],
  matMul: ['m', 'n', 'k', 'transposeA', 'transposeB', 'batch', 'sharedA', 'sharedB', 'a', 'b', 'y'],
  // A layout: rank and sizes of an index space, then handle, offset and strides of each view.
  stridedBinary: ['op', 'layout', 'y'],
  select: ['layout', 'y'],
  stridedCopy: ['layout'],
  reduceRows: ['op', 'rows', 'cols', 'x', 'y'],
  gather: ['batch', 'outer', 'rows', 'inner', 'count', 'x', 'ids', 'y'],
  oneHot: ['count', 'depth', 'on', 'off', 'ids', 'y'],
  EmbeddingGrad: ['tokens', 'width', 'outFeatures', 'dy', 'ids', 'idsHost', 'dWeight'],
} as const

/** The operations around the kernels. */
export const operationsOf = (addon: CudaAddon) =>
  bindOperations<typeof OPERATIONS, Value>(OPERATIONS, (name, fields) => {
    const call = addon.bind(name, fields, [])
    return (values) => call(...values)
  })

/** The path of something compiled on this machine; the same from the sources and from the bundle. */
export const releaseFile = (name: string): string => fileURLToPath(new URL(`../build/Release/${name}`, import.meta.url))

let loaded: CudaAddon | undefined

// What is published for whom (scripts/prebuilt.mjs).
const PREBUILT_FOR = ['linux-x64']

/**
 * The CUDA addon: the file in `TUNESMITH_CUDA_ADDON`, a package prebuilt for this platform, or what `npm run build:cuda`
 * made. With `TUNESMITH_CUDA_EMULATE=1` the test build, which needs no GPU and is slow.
 *
 * @throws {TunesmithError} `backend` when none is there or it does not load.
 */
export function loadCudaAddon(): CudaAddon {
  if (loaded) return loaded
  const require = createRequire(import.meta.url)
  const versionOf = (place: string) => (require(`${place}/package.json`) as { version: string }).version
  const own = versionOf('..')
  const target = `${process.platform}-${process.arch}`
  const prebuilt = `@tunesmith/backend-cuda-${target}`
  const places =
    process.env.TUNESMITH_CUDA_EMULATE === '1'
      ? [releaseFile('tunesmith_cuda_emulated.node')]
      : process.env.TUNESMITH_CUDA_ADDON
        ? [process.env.TUNESMITH_CUDA_ADDON]
        : [prebuilt, releaseFile('tunesmith_cuda.node')]
  const problems: string[] = []
  for (const place of places)
    try {
      if (place !== prebuilt && !existsSync(place)) throw new Error('not there')
      if (place === prebuilt && versionOf(place) !== own)
        throw new Error(`is version ${versionOf(place)}, this package is ${own}`)
      loaded = require(place) as CudaAddon
      return loaded
    } catch (error) {
      const missing = (error as NodeJS.ErrnoException).code === 'MODULE_NOT_FOUND'
      problems.push(
        `${place === prebuilt ? place : basename(place)}: ${missing ? 'not installed' : (error as Error).message.split('\n')[0]}`,
      )
    }
  const build = '`npm run build:cuda` in @tunesmith/backend-cuda (needs the CUDA toolkit, nvcc)'
  throw new TunesmithError(`The CUDA addon is not there (${problems.join('; ')})`, {
    code: 'backend',
    remedy: PREBUILT_FOR.includes(target) ? `Run \`npm install ${prebuilt}@${own}\`, or ${build}` : `Run ${build}`,
  })
}
