export { NativeBackend } from './backend'
export type { NativeMemory } from './buffer-pool'
export {
  type NativeBackendInfo,
  nativeMemory,
  registerNativeBackend,
  resetNativePeak,
  setNumThreads,
  trimNativeMemory,
} from './register'
