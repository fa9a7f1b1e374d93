import '@tensorflow/tfjs-backend-cpu'
import { findBackend, getKernelsForBackend, registerBackend } from '@tensorflow/tfjs-core'
import { invalidOptions, TunesmithError } from '@tunesmith/core'
import { type Addon, loadAddon } from './addon'
import { BACKEND_NAME, NativeBackend, replaceNativeKernel } from './backend'
import type { NativeMemory } from './buffer-pool'
import { registerKernels } from './kernels'
import { registerElementwise } from './ops/elementwise'
import { registerLayout } from './ops/layout'
import { registerMatMul } from './ops/mat-mul'
import { registerReduce } from './ops/reduce'

export const NATIVE_PRECISIONS = ['bf16', 'f32'] as const
export type NativePrecision = (typeof NATIVE_PRECISIONS)[number]

export interface NativeBackendOptions {
  /**
   * Of the products with 16-bit and quantized weights. `bf16`: both factors are rounded to bfloat16, sums stay in
   * float32; `f32`: weights are widened. All else is float32 either way: products with float32 weights, gradients of
   * parameters, attention, norms, losses, the optimizer. Default `TUNESMITH_CPU_PRECISION`, else `bf16` on processors
   * that are faster so (with AMX, and AMD's with AVX512_BF16; Intel's without AMX are slower than in float32).
   */
  precision?: NativePrecision
}

export interface NativeBackendInfo {
  name: 'native'
  /** Instruction set chosen for this processor: `amx`, `avx512_bf16`, `avx512`, `avx2` or `base`. */
  isa: string
  threads: number
  precision: NativePrecision
}

let registered = false

function setPrecision(addon: Addon, wanted: string, where: string): void {
  if (!NATIVE_PRECISIONS.some((precision) => precision === wanted))
    throw invalidOptions(`precision must be bf16 or f32, not "${wanted}"`, { where })
  if (addon.setPrecision(wanted)) return
  throw new TunesmithError(`This processor has no products in bf16 (its kernels are ${addon.isa()})`, {
    code: 'backend',
    where,
    remedy: 'Use f32, or leave the precision out: the faster one is taken',
  })
}

/**
 * Makes the TensorFlow.js backend `native` available; `tf.setBackend('native')` then selects it. Repeating is harmless;
 * a `precision` holds from the next product on.
 *
 * @throws {TunesmithError} `backend` when the addon is missing or does not load, or the processor lacks the precision.
 */
export function registerNativeBackend(options: NativeBackendOptions = {}): NativeBackendInfo {
  const addon = loadAddon()
  const fromEnvironment = registered ? undefined : process.env.TUNESMITH_CPU_PRECISION
  if (options.precision !== undefined) setPrecision(addon, options.precision, 'registerNativeBackend')
  else if (fromEnvironment) setPrecision(addon, fromEnvironment, 'TUNESMITH_CPU_PRECISION')
  if (!registered) {
    for (const { kernelName, kernelFunc } of getKernelsForBackend('cpu')) replaceNativeKernel(kernelName, kernelFunc)
    // The standard operations that are worth having in C++; all others stay TensorFlow.js' own.
    registerMatMul()
    registerElementwise()
    registerReduce()
    registerLayout()
    registerKernels(addon)
    registerBackend(BACKEND_NAME, () => new NativeBackend(addon), 2)
    registered = true
  }
  const precision = addon.precision() as NativePrecision
  return { name: BACKEND_NAME, isa: addon.isa(), threads: addon.threads(), precision }
}

/**
 * Sets how many threads compute, from the next kernel on. The default is `TUNESMITH_THREADS`, else the physical cores
 * this process may use. Results do not depend on it.
 */
export function setNumThreads(threads: number): void {
  if (!Number.isSafeInteger(threads) || threads < 1)
    throw invalidOptions(`threads must be a whole number of at least 1, not ${threads}`, { where: 'setNumThreads' })
  loadAddon().setThreads(threads)
}

function started(): NativeBackend | undefined {
  const backend = findBackend(BACKEND_NAME)
  return backend instanceof NativeBackend ? backend : undefined
}

/** Bytes held by the backend's tensors (those of 16 KiB and more) and by its pool. */
export function nativeMemory(): NativeMemory {
  return started()?.pool.memory() ?? { live: 0, pooled: 0, peak: 0 }
}

/** Starts the count of {@link nativeMemory}'s `peak` anew. */
export function resetNativePeak(): void {
  started()?.pool.resetPeak()
}

/** Returns all unused memory to the operating system: pooled tensors and the kernels' working space. */
export function trimNativeMemory(): void {
  started()?.pool.trim()
  if (started()) loadAddon().trimScratch()
}
