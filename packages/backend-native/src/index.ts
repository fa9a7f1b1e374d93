export { NativeBackend } from './backend'
export type { NativeMemory } from './buffer-pool'
export type { CudaDevice, CudaMemory } from './cuda/addon'
export type { CudaPrecision } from './cuda/backend'
export type { CudaOperation, CudaProfile } from './cuda/profile'
export {
  type CudaBackendInfo,
  type CudaBackendOptions,
  type CudaDiagnosis,
  cudaMemory,
  cudaReadBacks,
  diagnoseCuda,
  registerCudaBackend,
  resetCudaPeak,
  resetCudaReadBacks,
  startCudaProfile,
  stopCudaProfile,
  synchronizeCuda,
  trimCudaMemory,
} from './cuda/register'
export {
  type NativeBackendInfo,
  nativeMemory,
  registerNativeBackend,
  resetNativePeak,
  setNumThreads,
  trimNativeMemory,
} from './register'
