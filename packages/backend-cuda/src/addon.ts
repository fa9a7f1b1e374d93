import { existsSync } from 'node:fs'
import { createRequire } from 'node:module'
import { basename } from 'node:path'
import type { WeightArgs } from '@tunesmith/backend/contract'
import { TunesmithError } from '@tunesmith/core'
import { ownVersion, releaseFile } from './release-file'

/** A number that stands for device memory in the addon; 0 is none. */
export type Handle = number

/** How the addon stores a tensor: what TensorFlow.js calls float32 may be bf16. */
export const STORAGE = { f32: 0, bf16: 1, i32: 2 } as const
export type Storage = (typeof STORAGE)[keyof typeof STORAGE]

export type CudaWeight = WeightArgs<Handle, Handle>

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
export interface CudaLaunches {
  operation: string
  kernel: string
  launches: number
  /** On the device; 0 where it has no clock or none was asked for. */
  seconds: number
}

export interface CudaLibrary {
  found: boolean
  text: string
  remedy: string
}

type AttentionArgs = [
  ...shape: [
    tokens: number,
    keys: number,
    sequences: number,
    heads: number,
    kvHeads: number,
    headDim: number,
    scale: number,
    window: number,
    softcap: number,
  ],
  ...tensors: [q: Handle, k: Handle, v: Handle],
  ...device: [cuSeqlens: Handle, kvStart: Handle | null, kvLength: Handle | null],
  ...host: [cuSeqlens: Int32Array, kvStart: Int32Array | null, kvLength: Int32Array | null],
]

export type { AttentionArgs }

/** The functions of the CUDA addon. Tensors are handles; what goes wrong is thrown with `code` and `remedy`. */
export interface CudaAddon {
  open(device: number, precision: number): CudaDevice
  close(): void
  libraries(): { driver: CudaLibrary; cublasLt: CudaLibrary; nccl: CudaLibrary }
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
  /** Checks the values again that were checked while capturing, assigns them, and runs what was written down. */
  launchStep(step: number, ...tensorsAndValues: (Handle | Float32Array | Int32Array)[]): void
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

  frozenLinear(tokens: number, ...rest: [...CudaWeight, x: Handle, bias: Handle | null, y: Handle]): void
  frozenLinearGrad(tokens: number, ...rest: [...CudaWeight, dy: Handle, addend: Handle | null, dx: Handle]): void
  linearWeightGrad(tokens: number, out: number, inner: number, dy: Handle, x: Handle, dw: Handle): void
  loraLinear(tokens: number, rank: number, ...rest: [...CudaWeight, ...(number | null)[]]): void
  /** dy, A, B, scaling, dropout, seed, then addend, dx, x, xa, dA, dB or null for each. */
  loraLinearGrad(tokens: number, rank: number, ...rest: [...CudaWeight, ...(number | null)[]]): void
  dequantize(rowStart: number, rowEnd: number, ...rest: [...CudaWeight, y: Handle]): void
  embeddingLookup(tokens: number, ...rest: [...CudaWeight, ids: Handle, host: Int32Array, y: Handle]): void
  embeddingGrad(tokens: number, vocab: number, h: number, dy: Handle, ids: Handle, host: Int32Array, dw: Handle): void

  rmsNorm(tokens: number, h: number, x: Handle, weight: Handle, eps: number, offset: number, y: Handle): void
  rmsNormGrad(...args: [...(number | null)[]]): void
  rmsNormWeightGrad(tokens: number, h: number, dy: Handle, x: Handle, eps: number, dw: Handle): void
  rope(
    tokens: number,
    heads: number,
    headDim: number,
    rotaryDim: number,
    inverse: boolean,
    ...rest: [x: Handle, cos: Handle, sin: Handle, y: Handle]
  ): void
  dropout(size: number, rate: number, seed: number, x: Handle, y: Handle): void
  swiglu(size: number, gelu: boolean, gate: Handle, up: Handle, y: Handle): void
  swigluGrad(size: number, gelu: boolean, dy: Handle, gate: Handle, up: Handle, dgate: Handle, dup: Handle): void
  attention(...args: [...AttentionArgs, out: Handle, lse: Handle]): void
  attentionGrad(
    ...args: [...AttentionArgs, dout: Handle, out: Handle, lse: Handle, dq: Handle, dk: Handle, dv: Handle]
  ): void
  crossEntropy(
    tokens: number,
    ...rest: [
      ...CudaWeight,
      hidden: Handle,
      bias: Handle | null,
      labels: Handle,
      host: Int32Array,
      labelSmoothing: number,
      softcap: number,
      dft: boolean,
      lossSum: Handle,
      nll: Handle,
      entropy: Handle,
      correct: Handle,
      dHidden: Handle | null,
      dWeight: Handle | null,
    ]
  ): void
  /** lr, beta1, beta2, eps, weightDecay, step, gradScale, then size, param, copy, grad, expAvg, expAvgSq for each tensor. */
  adamW(...args: (number | null)[]): void
  /** The numbers as adamW has them, both maps, then size, param, copy, grad, states and absmaxes for each tensor. */
  adamW8bit(...args: (number | null)[]): void
  /** The norm's handle, then size and handle of each tensor. */
  gradNorm(...args: number[]): void
  copyRows(
    count: number,
    width: number,
    capacity: number,
    ...rest: [x: Handle, rows: Handle, host: Int32Array, cache: Handle]
  ): void

  binary(op: number, mode: number, outer: number, inner: number, a: Handle, b: Handle, y: Handle): void
  binaryNumber(op: number, size: number, x: Handle, number: number, reversed: boolean, y: Handle): void
  unary(op: number, size: number, x: Handle, y: Handle, p: number, q: number): void
  softmax(rows: number, cols: number, x: Handle, y: Handle): void
  reduceSum(outer: number, axis: number, inner: number, scale: number, x: Handle, y: Handle): void
  transpose2d(rows: number, cols: number, x: Handle, y: Handle): void
  convert(size: number, x: Handle, y: Handle): void
  fill(size: number, value: number, y: Handle): void
  matMul(
    m: number,
    n: number,
    k: number,
    transposeA: boolean,
    transposeB: boolean,
    ...rest: [batch: number, sharedA: boolean, sharedB: boolean, a: Handle, b: Handle, y: Handle]
  ): void
  /** Rank and sizes of the index space, then handle, offset and strides of each operand; the result has no gaps. */
  stridedBinary(op: number, ...args: number[]): void
  /** The space, condition, then and else as operands, and the result. */
  select(...args: number[]): void
  /** The space, then source and target as operands. */
  stridedCopy(...args: number[]): void
  reduceRows(op: number, rows: number, cols: number, x: Handle, y: Handle): void
  gather(batch: number, outer: number, rows: number, inner: number, ...rest: [count: number, ...Handle[]]): void
  oneHot(count: number, depth: number, on: number, off: number, ids: Handle, y: Handle): void
}

let loaded: CudaAddon | undefined

// What is published for whom (scripts/prebuilt.mjs).
const PREBUILT_FOR = ['linux-x64']

/** The prebuilt addon of this package's version. */
function requirePrebuilt(require: NodeJS.Require, name: string): CudaAddon {
  const { version } = require(`${name}/package.json`) as { version: string }
  if (version !== ownVersion()) throw new Error(`is version ${version}, this package is ${ownVersion()}`)
  return require(name) as CudaAddon
}

/**
 * The CUDA addon: the file in `TUNESMITH_CUDA_ADDON`, a package prebuilt for this platform, or what `npm run build:cuda`
 * made. With `TUNESMITH_CUDA_EMULATE=1` the test build, which needs no GPU and is slow.
 *
 * @throws {TunesmithError} `backend` when none is there or it does not load.
 */
export function loadCudaAddon(): CudaAddon {
  if (loaded) return loaded
  const require = createRequire(import.meta.url)
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
      loaded = place === prebuilt ? requirePrebuilt(require, place) : (require(place) as CudaAddon)
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
    remedy: PREBUILT_FOR.includes(target)
      ? `Run \`npm install ${prebuilt}@${ownVersion()}\`, or ${build}`
      : `Run ${build}`,
  })
}
