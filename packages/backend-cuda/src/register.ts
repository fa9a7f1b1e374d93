import '@tensorflow/tfjs-backend-cpu'
import { findBackend, getKernelsForBackend, registerBackend } from '@tensorflow/tfjs-core'
import type { CudaDiagnosis } from '@tunesmith/backend'
import { invalidOptions, TunesmithError } from '@tunesmith/core'
import { type CudaDevice, type CudaMemory, loadCudaAddon } from './addon'
import { CudaBackend } from './backend'
import { type CudaPrecision, Device } from './device'
import { problemOf } from './errors'
import { CUDA_BACKEND_NAME, replaceCudaKernel } from './kernel-call'
import { registerCudaKernels } from './kernels'
import { registerCudaMoving } from './moving'
import { registerCudaElementwise } from './ops/elementwise'
import { registerCudaIndexing } from './ops/indexing'
import { registerCudaLayout } from './ops/layout'
import { registerCudaProducts } from './ops/products'
import { registerCudaReduce } from './ops/reduce'
import { type CudaProfile, CudaProfiler } from './profile'

export interface CudaBackendOptions {
  /**
   * `bf16`: activations in bfloat16, products on tensor cores, everything that is summed in float32. `f32`: float32
   * throughout; `tf32`: float32 whose products round their factors. Default `TUNESMITH_CUDA_PRECISION`, else `bf16`.
   */
  precision?: CudaPrecision
  /** Which GPU, counted from 0. Default `TUNESMITH_CUDA_DEVICE`, else 0. */
  device?: number
}

export interface CudaBackendInfo extends CudaDevice {
  precision: CudaPrecision
}

let backend: CudaBackend | undefined

function fromEnvironment(options: CudaBackendOptions): Required<CudaBackendOptions> {
  const precision = options.precision ?? process.env.TUNESMITH_CUDA_PRECISION ?? 'bf16'
  const device = options.device ?? Number(process.env.TUNESMITH_CUDA_DEVICE ?? 0)
  const fail = (message: string): never => {
    throw invalidOptions(message, { where: 'registerCudaBackend' })
  }
  if (precision !== 'bf16' && precision !== 'f32' && precision !== 'tf32')
    return fail(`precision must be bf16, f32 or tf32, not "${precision}"`)
  if (!Number.isSafeInteger(device) || device < 0) return fail(`device must be a whole number from 0 on, not ${device}`)
  return { precision, device }
}

/**
 * Makes the TensorFlow.js backend `cuda` available; `tf.setBackend('cuda')` then selects it. Repeating is harmless; the
 * first call fixes precision and device.
 *
 * @throws {TunesmithError} `backend` when the addon, the driver, a GPU or cuBLASLt is missing, with what was looked for
 *   where.
 */
export function registerCudaBackend(options: CudaBackendOptions = {}): CudaBackendInfo {
  const { precision, device } = fromEnvironment(options)
  const addon = loadCudaAddon()
  if (!backend) {
    const opened = new CudaBackend(new Device(addon, precision, device))
    backend = opened
    for (const { kernelName, kernelFunc } of getKernelsForBackend('cpu'))
      replaceCudaKernel(kernelName, (args) => opened.runOnCpu(kernelName, () => kernelFunc(args)))
    registerCudaElementwise()
    registerCudaLayout()
    registerCudaProducts()
    registerCudaReduce()
    registerCudaIndexing()
    registerCudaKernels(addon)
    registerCudaMoving()
    registerBackend(CUDA_BACKEND_NAME, () => opened, 4)
  }
  return { ...backend.device.info, precision: backend.device.precision }
}

function started(): CudaBackend {
  const found = findBackend(CUDA_BACKEND_NAME)
  if (found instanceof CudaBackend) return found
  throw new TunesmithError('The CUDA backend was not started', { code: 'backend', remedy: 'Call selectBackend first' })
}

/** What the GPU's memory is used for. */
export function cudaMemory(): CudaMemory {
  return started().addon.memory()
}

/** Starts the count of {@link cudaMemory}'s `peak` anew. */
export function resetCudaPeak(): void {
  started().addon.resetPeak()
}

/** Gives all unused GPU memory back to the driver. */
export function trimCudaMemory(): void {
  started().addon.trim()
}

/** Waits until the GPU has done everything it was asked for; for measuring. */
export function synchronizeCuda(): void {
  started().addon.synchronize()
}

/** Operations that read GPU memory back to run on the CPU so far: each costs a wait. */
export function cudaReadBacks(): string[] {
  return [...started().device.readBacks]
}

/** Starts the list of {@link cudaReadBacks} anew. */
export function resetCudaReadBacks(): void {
  started().device.readBacks.clear()
}

/**
 * Starts to count what is asked of the GPU, and to time it there: see {@link stopCudaProfile}. Costs two events per launch;
 * nothing is counted or timed outside of a profile. Steps that are captured in a graph must be captured again inside it.
 *
 * @throws {TunesmithError} `backend` when the CUDA backend was not started.
 */
export function startCudaProfile(): void {
  const backend = started()
  backend.device.profiler = new CudaProfiler(backend.addon, backend)
}

/**
 * Ends the profile and waits for the GPU: calls, launches, bytes, floating point operations and seconds by operation.
 *
 * Bytes and operations are counted from shapes: what the algorithm must move and multiply. Divided by the seconds they
 * give the bandwidth and the speed that an operation reaches. Seconds are between CUDA events around each launch.
 *
 * @throws {TunesmithError} `invalid_options` when no profile was started.
 */
export function stopCudaProfile(): CudaProfile {
  const { device } = started()
  const { profiler } = device
  if (!profiler)
    throw invalidOptions('No profile is running', { where: 'stopCudaProfile', remedy: 'Call startCudaProfile first' })
  device.profiler = undefined
  return profiler.stop()
}

/** Why the CUDA backend can or cannot be used here; never throws. */
export function diagnoseCuda(): CudaDiagnosis {
  let libraries: CudaDiagnosis['libraries']
  try {
    libraries = loadCudaAddon().libraries()
    const { precision: _, ...device } = registerCudaBackend()
    return { device, libraries }
  } catch (error) {
    return { problem: problemOf(error as Error), remedy: (error as TunesmithError).remedy, libraries }
  }
}
