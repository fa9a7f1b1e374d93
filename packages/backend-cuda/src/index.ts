export type { CudaDevice, CudaMemory } from './addon'
export type { CudaPrecision } from './device'
export type { CudaOperation, CudaProfile } from './profile'
export {
  type CudaBackendInfo,
  type CudaBackendOptions,
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
} from './register'
