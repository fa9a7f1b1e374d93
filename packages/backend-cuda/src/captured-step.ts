import type { Tensor } from '@tensorflow/tfjs-core'
import type { BackendStep } from '@tunesmith/backend'
import type { Handle } from './addon'
import type { Device } from './device'
import { guarded, problemOf } from './errors'
import type { TensorData } from './tensor-data'

type Numbers = Float32Array | Int32Array

/** Why steps were not captured, to say each reason once. */
const notCaptured = new Set<string>()

/** The handles of inputs with the values that are new to them; host code that looks at them sees these too. */
function newValues(inputs: readonly TensorData[], values: readonly Numbers[]): (Handle | Numbers)[] {
  return inputs.flatMap((input, i) => {
    const given = values[i]!
    const known = input.host as Numbers | undefined
    if (known?.length === given.length && known.every((value, at) => value === given[at])) return []
    input.host = given.slice() as Numbers
    return [input.handle, given]
  })
}

/** Replaces the values of inputs in their memory. */
export function assignInputs({ addon }: Device, inputs: readonly TensorData[], values: readonly Numbers[]): void {
  const given = newValues(inputs, values)
  if (given.length > 0) guarded(() => addon.assign(...given))
}

/**
 * Captures what `f` asks the device for. Nothing is done meanwhile; when it cannot be repeated, a warning says once which
 * operation is in the way.
 *
 * @param dataOf a tensor's data, for the output of `f`.
 */
export function captureStep(
  device: Device,
  inputs: readonly TensorData[],
  f: () => Tensor,
  dataOf: (x: Tensor) => TensorData,
): BackendStep | undefined {
  const { addon } = device
  let made: Tensor | undefined
  let step: number
  try {
    guarded(() => addon.beginCapture())
    device.capturing = true
    made = f()
    step = guarded(() => addon.endCapture(1))
  } catch (error) {
    guarded(() => addon.abandonCapture())
    device.capturing = false
    made?.dispose()
    warn(error as Error)
    return undefined
  } finally {
    device.capturing = false
  }
  const output = made
  const outputData = dataOf(output)
  return {
    output,
    launch(values) {
      const given = newValues(inputs, values)
      // What the host knows of these values is old.
      outputData.host = undefined
      let done = false
      try {
        done = guarded(() => addon.launchStep(step, ...given))
        return done
      } finally {
        if (!done) for (const input of inputs) input.host = undefined
      }
    },
    dispose() {
      addon.dropStep(step)
      output.dispose()
    },
  }
}

function warn(error: Error): void {
  const reason = problemOf(error)
  if (notCaptured.has(reason)) return
  notCaptured.add(reason)
  process.emitWarning(
    `Decoding goes on without a CUDA graph, kernel by kernel: ${reason}. TUNESMITH_CUDA_GRAPHS=0 does not try`,
    { code: 'TUNESMITH_CUDA_GRAPH' },
  )
}
