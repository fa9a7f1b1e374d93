export { NativeBackend } from './backend'
export type { NativeMemory } from './buffer-pool'
export {
  type NativeBackendInfo,
  type NativeBackendOptions,
  type NativePrecision,
  nativeMemory,
  registerNativeBackend,
  resetNativePeak,
  setNumThreads,
  trimNativeMemory,
} from './register'
