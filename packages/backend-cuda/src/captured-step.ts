import type { Tensor, TensorInfo } from '@tensorflow/tfjs-core'
import type { BackendStep } from '@tunesmith/backend'
import { isTunesmithError, TunesmithError } from '@tunesmith/core'
import { type CudaBackend, guarded, problemOf } from './backend'

/**
 * Captures what `f` asks the device for. Nothing is done meanwhile; when it cannot be repeated, a warning says once which
 * operation is in the way.
 */
export function captureStep(backend: CudaBackend, inputs: TensorInfo[], f: () => Tensor): BackendStep | undefined {
  const { addon } = backend
  let output: Tensor | undefined
  try {
    guarded(() => addon.beginCapture())
    backend.capturing = true
    output = f()
    const step = guarded(() => addon.endCapture(1))
    return capturedStep(backend, inputs, step, output)
  } catch (error) {
    guarded(() => addon.abandonCapture())
    backend.capturing = false
    output?.dispose()
    warn(backend, error as Error)
    return undefined
  } finally {
    backend.capturing = false
  }
}

function warn(backend: CudaBackend, error: Error): void {
  const reason = isTunesmithError(error) ? problemOf(error) : error.message
  if (backend.notCaptured.has(reason)) return
  backend.notCaptured.add(reason)
  process.emitWarning(
    `Decoding goes on without a CUDA graph, kernel by kernel: ${reason}. TUNESMITH_CUDA_GRAPHS=0 does not try`,
    { code: 'TUNESMITH_CUDA_GRAPH' },
  )
}

function capturedStep(backend: CudaBackend, inputs: TensorInfo[], step: number, output: Tensor): BackendStep {
  const { addon } = backend
  return {
    output,
    launch(values) {
      const given = backend.inputValues(inputs, values)
      backend.forgetHost(output)
      try {
        addon.launchStep(step, ...given)
        return true
      } catch (error) {
        for (const input of inputs) backend.forgetHost(input)
        const { message } = error as Error
        if (message.endsWith('was given back')) return false
        throw new TunesmithError(message, { code: (error as TunesmithError).code, cause: error })
      }
    },
    dispose() {
      addon.dropStep(step)
      output.dispose()
    },
  }
}
