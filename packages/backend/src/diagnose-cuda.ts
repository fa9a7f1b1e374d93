import { importOptional } from './import-optional'
import { mayHaveGpu } from './tensorflow/gpu'

/** What the CUDA backend needs and what of it is there. */
export interface CudaDiagnosis {
  /** Why the backend cannot be used; undefined when it can. */
  problem?: string
  /** What to do about it. */
  remedy?: string
  /** The GPU that would be used. */
  device?: { name: string; capability: string; totalBytes: number; driver: number; runtime: number }
  /** The libraries that are opened at run time, each with where it was found or was looked for; needs the addon. */
  libraries?: Record<'driver' | 'cublasLt' | 'nccl', { found: boolean; text: string; remedy: string }>
}

/**
 * Looks for the package `@tunesmith/backend-cuda`, its addon, the driver, a GPU, cuBLASLt and NCCL. Never throws. Without
 * the package there is a remedy only where there may be a GPU.
 */
export async function diagnoseCuda(): Promise<CudaDiagnosis> {
  try {
    const cuda = (await importOptional('@tunesmith/backend-cuda')) as { diagnoseCuda: () => CudaDiagnosis }
    return cuda.diagnoseCuda()
  } catch (error) {
    const remedy = mayHaveGpu() ? 'Run `npm install @tunesmith/backend-cuda`' : undefined
    return { problem: (error as Error).message, remedy }
  }
}
