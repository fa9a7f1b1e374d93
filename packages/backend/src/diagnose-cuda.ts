import { importOptional } from './import-optional'

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

/** Looks for the addon, the driver, a GPU, cuBLASLt and NCCL. Never throws. */
export async function diagnoseCuda(): Promise<CudaDiagnosis> {
  try {
    const native = (await importOptional('@tunesmith/backend-native')) as { diagnoseCuda: () => CudaDiagnosis }
    return native.diagnoseCuda()
  } catch (error) {
    return { problem: `@tunesmith/backend-native: ${(error as Error).message}`, remedy: 'Install it' }
  }
}
