import * as tf from '@tensorflow/tfjs-core'

/** Shape and type of a value that changes from run to run. */
export interface StepInput {
  shape: number[]
  dtype: 'float32' | 'int32'
}

export type StepValues<Name extends string> = Record<Name, Float32Array | Int32Array>

/** A function of tensors that runs many times with other values in the same shapes. */
export interface CompiledStep<Name extends string> {
  /**
   * Runs it. The tensor belongs to the step and is valid until the next run.
   *
   * @param values of every input, in its size and type.
   */
  run(values: StepValues<Name>): tf.Tensor
  dispose(): void
}

/** What a backend offers that can write down what it is asked for and do all of it again with one call. */
export interface StepBackend {
  /** False where the user or the device does not want it. */
  capturesSteps(): boolean
  /** Tensors whose values {@link assignInputs} replaces in the same memory. */
  createInput(shape: number[], dtype: 'float32' | 'int32'): tf.TensorInfo
  assignInputs(inputs: tf.TensorInfo[], values: (Float32Array | Int32Array)[]): void
  /**
   * Writes down what `f` asks for, without doing it.
   *
   * @returns undefined, after a warning, when `f` cannot be repeated; nothing was done then.
   */
  captureStep(inputs: tf.TensorInfo[], f: () => tf.Tensor): BackendStep | undefined
}

export interface BackendStep {
  output: tf.Tensor
  /** Replaces the values of the inputs and does everything again. @returns false when the step must be captured anew. */
  launch(values: (Float32Array | Int32Array)[]): boolean
  dispose(): void
}

const stepBackend = (): StepBackend | undefined => {
  const backend = tf.backend() as unknown as Partial<StepBackend>
  return backend.capturesSteps?.() ? (backend as StepBackend) : undefined
}

/**
 * Prepares a function for many runs. Where the backend can capture (`cuda`), the first run is a plain one, the second is
 * captured and launched, and every later one is a single launch that JavaScript has no part in; elsewhere each run calls
 * `f`.
 *
 * What changes from run to run must come through the inputs: numbers and tensors that `f` uses otherwise stay those of the
 * captured run, though a tensor's memory is read anew each time. `f` must not read values back; where it does, there is a
 * warning and each run calls `f`.
 *
 * @param f computes one tensor from the inputs, inside a `tf.tidy`.
 * @param options `captures: false` for a function that reads values back: each run calls it. Default true.
 */
export function compileStep<Name extends string>(
  f: (inputs: Record<Name, tf.Tensor>) => tf.Tensor,
  inputs: Record<Name, StepInput>,
  { captures = true }: { captures?: boolean } = {},
): CompiledStep<Name> {
  const names = Object.keys(inputs) as Name[]
  const backend = captures ? stepBackend() : undefined
  const kept =
    backend &&
    names.map((name) => {
      const { shape, dtype } = inputs[name]
      return tf.keep(tf.engine().makeTensorFromTensorInfo(backend.createInput(shape, dtype)))
    })
  let values: StepValues<Name>
  const compute = () => {
    const tensor = (name: Name, i: number) =>
      kept?.[i] ?? tf.tensor(values[name], inputs[name].shape, inputs[name].dtype)
    return tf.keep(
      tf.tidy(() => f(Object.fromEntries(names.map((name, i) => [name, tensor(name, i)])) as Record<Name, tf.Tensor>)),
    )
  }
  let state: 'first' | 'warm' | 'plain' = 'first'
  let step: BackendStep | undefined
  let output: tf.Tensor | undefined
  const release = () => {
    step?.dispose()
    output?.dispose()
    step = undefined
    output = undefined
  }
  return {
    run(given) {
      values = given
      const list = names.map((name) => values[name])
      if (step?.launch(list)) return step.output
      // A step whose memory is gone is captured again, after a plain run.
      if (step) state = 'first'
      release()
      if (backend && kept) {
        backend.assignInputs(kept, list)
        if (state === 'warm') {
          step = backend.captureStep(kept, compute)
          if (step?.launch(list)) return step.output
          release()
          state = 'plain'
        }
        if (state === 'first') state = 'warm'
      }
      output = compute()
      return output
    },
    dispose() {
      release()
      if (kept) tf.dispose(kept)
    },
  }
}
