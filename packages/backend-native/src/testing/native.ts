import { testOn } from '@tunesmith/backend/testing/kernels/harness'
import { registerNativeBackend, setNumThreads } from '../index'

testOn({ name: 'native', register: registerNativeBackend, setThreads: setNumThreads })

export * from '@tunesmith/backend/testing/kernels/harness'
