import '@tensorflow/tfjs-backend-cpu'
import { findBackend, getKernelsForBackend, registerBackend } from '@tensorflow/tfjs-core'
import { invalidOptions } from '@tunesmith/core'
import { loadAddon } from './addon'
import { BACKEND_NAME, NativeBackend, replaceNativeKernel } from './backend'
import type { NativeMemory } from './buffer-pool'
import { registerKernels } from './kernels'
import { registerElementwise } from './ops/elementwise'
import { registerLayout } from './ops/layout'
import { registerMatMul } from './ops/mat-mul'
import { registerReduce } from './ops/reduce'

export interface NativeBackendInfo {
  name: 'native'
  /** Instruction set chosen for this processor: `avx512`, `avx2` or `base`. */
  isa: string
  threads: number
}

let registered = false

/**
 * Makes the TensorFlow.js backend `native` available; `tf.setBackend('native')` then selects it. Repeating is harmless.
 *
 * @throws {TunesmithError} `backend` when the addon is missing or does not load.
 */
export function registerNativeBackend(): NativeBackendInfo {
  const addon = loadAddon()
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
  return { name: BACKEND_NAME, isa: addon.isa(), threads: addon.threads() }
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
