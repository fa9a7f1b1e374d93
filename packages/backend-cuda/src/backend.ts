import { MathBackendCPU } from '@tensorflow/tfjs-backend-cpu'
import {
  type backend_util,
  DataStorage,
  type DataType,
  engine,
  type NamedTensorInfoMap,
  type Tensor,
  type TensorInfo,
  util,
} from '@tensorflow/tfjs-core'
import type { BackendStep, StepBackend } from '@tunesmith/backend'
import type { Hand } from '@tunesmith/backend/contract'
import { type CudaAddon, type Handle, STORAGE, type Storage } from './addon'
import { assignInputs, captureStep } from './captured-step'
import type { Device } from './device'
import { guarded } from './errors'
import { isInteger, TensorData } from './tensor-data'

type Values = backend_util.BackendValues
type DataId = TensorInfo['dataId']

/** A kernel's output: the tensor and its device memory. */
export interface Output {
  info: TensorInfo
  handle: Handle
}

/**
 * TensorFlow.js on an NVIDIA GPU. Tensors live on the device; kernels are submitted to its stream and this thread goes
 * on, until a value is read.
 *
 * It is TensorFlow.js' CPU backend underneath: an operation that has no kernel on the device reads its inputs back and
 * runs there, and says so once.
 */
export class CudaBackend extends MathBackendCPU implements StepBackend {
  readonly addon: CudaAddon
  readonly operations: Device['operations']
  /** Outputs of the kernel that runs. */
  #made: DataId[] | undefined
  #nextId = 0

  constructor(readonly device: Device) {
    super()
    this.addon = device.addon
    this.operations = device.operations
    this.data = new DataStorage(this, engine())
  }

  // ---- tensors, as TensorFlow.js asks for them ----

  override write(values: Values, shape: number[], dtype: DataType): DataId {
    const dataId = { id: this.#nextId++ }
    this.move(dataId, values, shape, dtype, 1)
    return dataId
  }

  override move(dataId: DataId, values: Values, shape: number[], dtype: DataType, refCount: number): void {
    const data = new TensorData(this.device, values, dtype, refCount, util.sizeFromShape(shape))
    this.data.set(dataId, data as never)
    if (dtype !== 'float32' && !isInteger(dtype)) return
    if (Array.isArray(values)) data.host = util.toTypedArray(values as unknown as number[], dtype) as Values
    // What a kernel of the CPU backend makes is still to be written by it.
    if (values === undefined || values === null || this.device.onCpu !== undefined) return
    if (!this.isSmall(data.size)) data.upload()
    // The user may change the array before its first use here.
    else if (ArrayBuffer.isView(data.host)) data.host = (data.host as Float32Array).slice()
  }

  override readSync(dataId: DataId): Values {
    const data = this.tensor({ dataId })
    // Once: each look at the values of a large tensor copies them from the device.
    const values = data.complexTensorInfos ? undefined : data.values
    if (!ArrayBuffer.isView(values)) return super.readSync(dataId)
    // What is kept here must not change when the user changes what was read.
    return values === data.host ? (values as Float32Array).slice() : values
  }

  override disposeData(dataId: DataId, force = false): boolean {
    if (!this.data.has(dataId)) return true
    const data = this.tensor({ dataId })
    data.refCount--
    if (!force && data.refCount > 0) return false
    if (data.complexTensorInfos) {
      this.disposeData(data.complexTensorInfos.real.dataId, true)
      this.disposeData(data.complexTensorInfos.imag.dataId, true)
    }
    this.data.delete(dataId)
    data.release()
    return true
  }

  override memory() {
    return { unreliable: false, reasons: [] as string[] }
  }

  // ---- tensors, as kernels ask for them ----

  tensor({ dataId }: { dataId: DataId }): TensorData {
    return this.data.get(dataId) as unknown as TensorData
  }

  /** A tensor on the device for a kernel to fill; `floats`: how float32 is stored. */
  output(shape: number[], dtype: DataType = 'float32', floats: Storage = STORAGE.f32): Output {
    const data = new TensorData(this.device, undefined, dtype, 1, util.sizeFromShape(shape))
    const handle = data.allocate(dtype === 'float32' ? floats : STORAGE.i32)
    const dataId = { id: this.#nextId++ }
    this.data.set(dataId, data as never)
    this.#made?.push(dataId)
    return { info: { dataId, shape, dtype }, handle }
  }

  /** Likewise, stored as another tensor is. */
  outputLike(x: TensorInfo, shape: number[]): Output {
    return this.output(shape, x.dtype, this.tensor(x).storage)
  }

  /** The same memory as another tensor. */
  share({ dataId, shape, dtype }: TensorInfo): TensorInfo {
    this.incRef(dataId)
    return { dataId, shape, dtype }
  }

  /**
   * The memory of an activation as a kernel's output, when its one tensor is the last to hold it: the caller knows that
   * this tensor is not read again. Undefined when there are others, or it is stored in another way.
   */
  reuse(x: TensorInfo): Output | undefined {
    const data = this.tensor(x)
    const { refCount, handle, input, storage } = data
    if (refCount !== 1 || handle === 0 || input || storage !== this.device.activation) return undefined
    data.host = undefined
    return { info: this.share(x), handle }
  }

  /** The tensor's device memory; uploads what is on the host only. */
  memoryOf(x: TensorInfo): Handle {
    return this.tensor(x).onDevice()
  }

  /** What the addon is given for an input of a kernel. */
  readonly hand: Hand = (x, { dtype, role }) => {
    const data = this.tensor(x)
    if (role === 'parameter') return data.parameter()
    if (role === 'state') return data.writable(dtype === 'int32' ? STORAGE.i32 : STORAGE.f32)
    // A cache that began as float32 zeros is read as activations for the rest of its life.
    if (role === 'cache') return data.writable(this.device.activation)
    return data.onDevice()
  }

  /** The values of integers that host code looks at: boundaries, ids, labels. */
  hostInts(x: TensorInfo): Int32Array {
    const values = this.runOnCpu(this.device.running, () => this.tensor(x).values as ArrayLike<number>)
    return values instanceof Int32Array ? values : Int32Array.from(values)
  }

  /** The same where the host has them; undefined when only the device does. */
  knownInts(x: TensorInfo): Int32Array | undefined {
    const { host } = this.tensor(x)
    return host instanceof Int32Array ? host : undefined
  }

  /** The same for integers that are checked: the addon repeats its checks before each launch of a captured step. */
  readonly checkedInts = (x: TensorInfo): Int32Array => this.knownInts(x) ?? this.hostInts(x)

  /** The one value of a tensor that never was on the device. */
  hostNumber(x: TensorInfo): number | undefined {
    const { host, handle, size } = this.tensor(x)
    return size === 1 && handle === 0 && ArrayBuffer.isView(host) ? (host as Float32Array)[0] : undefined
  }

  /** True when the tensors are small and on the host, where the CPU is faster than a launch. */
  onHost(...tensors: TensorInfo[]): boolean {
    return tensors.every((x) => {
      const { handle, size } = this.tensor(x)
      return handle === 0 && this.isSmall(size)
    })
  }

  /** Whether so many elements begin on the host. */
  isSmall(size: number): boolean {
    return size * 4 <= this.device.lazyBytes
  }

  // ---- running kernels ----

  /** Runs a kernel of the device under its name, for error messages, the count of memory and the profile. */
  runOnDevice<Result extends TensorInfo | TensorInfo[] | undefined>(
    name: string,
    inputs: NamedTensorInfoMap,
    attrs: object,
    run: () => Result,
  ): Result {
    const { device } = this
    const { running, profiler } = device
    const profiled = profiler?.begin(name)
    const made = this.#made
    device.running = name
    this.#made = []
    try {
      const outputs = guarded(run)
      if (outputs) profiler?.count(name, inputs, attrs, Array.isArray(outputs) ? outputs : [outputs])
      return outputs
    } catch (error) {
      // Nobody else knows of them.
      for (const dataId of this.#made) this.disposeData(dataId, true)
      throw error
    } finally {
      device.running = running
      this.#made = made
      profiler?.end(profiled!)
    }
  }

  /** Runs a kernel of the CPU backend; reading device memory in it is noted under its name. */
  runOnCpu<Result>(kernel: string, run: () => Result): Result {
    const { device } = this
    const outer = device.onCpu
    device.onCpu = kernel
    try {
      return run()
    } finally {
      device.onCpu = outer
    }
  }

  // ---- steps that are captured ----

  /** False with `TUNESMITH_CUDA_GRAPHS=0`. */
  capturesSteps(): boolean {
    return process.env.TUNESMITH_CUDA_GRAPHS !== '0'
  }

  createInput(shape: number[], dtype: 'float32' | 'int32'): TensorInfo {
    const { info } = this.output(shape, dtype)
    this.tensor(info).input = true
    return info
  }

  assignInputs(inputs: TensorInfo[], values: (Float32Array | Int32Array)[]): void {
    assignInputs(
      this.device,
      inputs.map((x) => this.tensor(x)),
      values,
    )
  }

  captureStep(inputs: TensorInfo[], f: () => Tensor): BackendStep | undefined {
    const tensor = (x: TensorInfo) => this.tensor(x)
    return captureStep(this.device, inputs.map(tensor), f, tensor)
  }
}
