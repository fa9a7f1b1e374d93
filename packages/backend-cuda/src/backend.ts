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
import { TunesmithError } from '@tunesmith/core'
import { type CudaAddon, type CudaDevice, type Handle, operationsOf, STORAGE, type Storage } from './addon'
import { captureStep } from './captured-step'
import type { CudaProfiler } from './profile'
import { TensorData } from './tensor-data'

type Values = backend_util.BackendValues
type DataId = TensorInfo['dataId']

/** How activations are stored and multiplied. */
export type CudaPrecision = 'bf16' | 'f32' | 'tf32'
const PRECISIONS: readonly CudaPrecision[] = ['bf16', 'f32', 'tf32']

/** Up to this many bytes, what is on the device may be on the host as well: labels, lengths, scalars. */
const KEPT_BYTES = 4 * 1024 * 1024
const LAZY_BYTES = 64 * 1024
/** Booleans are int32 on the device. */
const isInteger = (dtype: DataType) => dtype === 'int32' || dtype === 'bool'

/** What an error says without its remedy, which is said apart. */
export function problemOf({ message, remedy }: { message: string; remedy?: string }): string {
  return remedy && message.endsWith(`. ${remedy}`) ? message.slice(0, -remedy.length - 2) : message
}

/** Calls the addon; what it throws becomes a TunesmithError. */
export function guarded<Result>(call: () => Result): Result {
  try {
    return call()
  } catch (error) {
    const { message, code, remedy } = error as Error & { code?: string; remedy?: string }
    if (error instanceof TunesmithError) throw error
    if (typeof code !== 'string') throw error
    throw new TunesmithError(message, { code: code as never, remedy: remedy || undefined, cause: error })
  }
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
  readonly operations: ReturnType<typeof operationsOf>
  readonly device: CudaDevice
  readonly precision: CudaPrecision
  /** Storage of activations and of their gradients. */
  readonly activation: Storage
  /** The kernel that runs, for error messages and the count of memory. */
  running = 'other'
  /** Counts what the kernels do; undefined outside of measurements. */
  profiler: CudaProfiler | undefined
  /** Operations that read device memory back to run on the CPU, in the order they were met. */
  readonly readBacks = new Set<string>()
  /** True while kernels are written down to be launched together. */
  capturing = false
  /** Why steps were not captured, to say each reason once. */
  readonly notCaptured = new Set<string>()
  /** Outputs of the kernel that runs. */
  #made: DataId[] | undefined
  /** Arrays up to this size go to the device with their first use there, larger ones at once. Tests set it to 0. */
  readonly #lazyBytes = Number(process.env.TUNESMITH_CUDA_HOST_BYTES ?? LAZY_BYTES)
  #nextId = 0
  #fallback: string | undefined

  constructor(addon: CudaAddon, precision: CudaPrecision, device = 0) {
    super()
    this.addon = addon
    this.operations = operationsOf(addon)
    this.precision = precision
    this.device = guarded(() => addon.open(device, PRECISIONS.indexOf(precision)))
    this.activation = precision === 'bf16' ? STORAGE.bf16 : STORAGE.f32
    this.data = new DataStorage(this, engine())
  }

  override write(values: Values, shape: number[], dtype: DataType): DataId {
    const dataId = { id: this.#nextId++ }
    this.move(dataId, values, shape, dtype, 1)
    return dataId
  }

  override move(dataId: DataId, values: Values, shape: number[], dtype: DataType, refCount: number): void {
    const size = util.sizeFromShape(shape)
    const data = new TensorData((x) => this.#read(x), values, dtype, refCount, size)
    this.data.set(dataId, data as never)
    if (dtype !== 'float32' && !isInteger(dtype)) return
    if (Array.isArray(values)) data.host = util.toTypedArray(values as unknown as number[], dtype) as Values
    // What a kernel of the CPU backend makes is still to be written by it.
    if (values === undefined || values === null || this.#fallback !== undefined) return
    if (size * 4 > this.#lazyBytes) this.#upload(data)
    // The user may change the array before its first use here.
    else if (ArrayBuffer.isView(data.host)) data.host = (data.host as Float32Array).slice()
  }

  /** A tensor on the device for a kernel to fill. */
  output(
    shape: number[],
    storage: Storage,
    dtype: DataType = storage === STORAGE.i32 ? 'int32' : 'float32',
  ): { info: TensorInfo; handle: Handle } {
    const size = util.sizeFromShape(shape)
    const data = new TensorData((x) => this.#read(x), undefined, dtype, 1, size)
    data.handle = guarded(() => this.addon.allocate(size, storage, this.running))
    data.storage = storage
    const dataId = { id: this.#nextId++ }
    this.data.set(dataId, data as never)
    this.#made?.push(dataId)
    return { info: { dataId, shape, dtype }, handle: data.handle }
  }

  /** Likewise, stored as another tensor is. */
  outputLike(x: TensorInfo, shape: number[]): { info: TensorInfo; handle: Handle } {
    return this.output(shape, this.storageOf(x), x.dtype)
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
  reuse(x: TensorInfo): { info: TensorInfo; handle: Handle } | undefined {
    const data = this.#data(x)
    if (data.refCount !== 1 || data.handle === 0 || data.input || data.storage !== this.activation) return undefined
    data.host = undefined
    return { info: this.share(x), handle: data.handle }
  }

  #data({ dataId }: { dataId: DataId }): TensorData {
    return this.data.get(dataId) as unknown as TensorData
  }

  /** The tensor's device memory; uploads what is on the host only. */
  floats(x: TensorInfo): Handle {
    const data = this.#data(x)
    if (data.handle === 0) this.#upload(data)
    return data.handle
  }

  /** What the addon is given for an input of a kernel. */
  readonly hand: Hand = (x, { dtype, role }) => {
    if (role === 'parameter') return this.parameter(x)
    if (role === 'state') return this.writable(x, dtype === 'int32' ? STORAGE.i32 : STORAGE.f32)
    // A cache that began as float32 zeros is read as activations for the rest of its life.
    if (role === 'cache') return this.writable(x, this.activation)
    return this.floats(x)
  }

  ints(x: TensorInfo): Handle {
    return this.floats(x)
  }

  /**
   * A parameter as products take it: converted to the type of activations once, and kept beside the parameter until
   * something writes to it.
   */
  parameter(x: TensorInfo): Handle {
    const handle = this.floats(x)
    const data = this.#data(x)
    if (data.storage === this.activation || data.size === 0) return handle
    if (data.copy === 0) {
      data.copy = guarded(() => this.addon.allocate(data.size, this.activation, 'parameters in bf16'))
      guarded(() => this.operations.convert({ size: data.size, x: handle, y: data.copy }))
    }
    return data.copy
  }

  /** A float32 parameter that a kernel writes to in place, and its copy (or 0), to which it writes the same. */
  writableParameter(x: TensorInfo): { handle: Handle; copy: Handle } {
    const data = this.#data(x)
    const { copy } = data
    data.copy = 0
    const handle = this.writable(x, STORAGE.f32)
    data.copy = copy
    return { handle, copy }
  }

  #dropCopy(data: TensorData): void {
    if (data.copy !== 0) this.addon.free(data.copy)
    data.copy = 0
  }

  /** The values of integers that host code looks at: boundaries, ids, labels. */
  hostInts(x: TensorInfo): Int32Array {
    const values = this.runOnCpu(this.running, () => this.hostValues(x))
    return values instanceof Int32Array ? values : Int32Array.from(values)
  }

  /** The same where the host has them; undefined when only the device does. */
  knownInts(x: TensorInfo): Int32Array | undefined {
    const { host } = this.#data(x)
    return host instanceof Int32Array ? host : undefined
  }

  /** The same for integers that are checked: the addon repeats its checks before each launch of a captured step. */
  readonly checkedInts = (x: TensorInfo): Int32Array => this.knownInts(x) ?? this.hostInts(x)

  hostValues(x: TensorInfo): ArrayLike<number> {
    return this.#data(x).values as ArrayLike<number>
  }

  /** The one value of a tensor that never was on the device. */
  hostNumber(x: TensorInfo): number | undefined {
    const { host, handle, size } = this.#data(x)
    return size === 1 && handle === 0 && ArrayBuffer.isView(host) ? (host as Float32Array)[0] : undefined
  }

  /** Device memory that a kernel writes to in place, stored as asked for; converted once when it is not. */
  writable(x: TensorInfo, storage: Storage): Handle {
    const data = this.#data(x)
    const handle = this.floats(x)
    this.#dropCopy(data)
    if (data.storage !== storage) {
      const converted = guarded(() => this.addon.allocate(data.size, storage, this.running))
      guarded(() => this.operations.convert({ size: data.size, x: handle, y: converted }))
      this.addon.free(handle)
      data.handle = converted
      data.storage = storage
      this.#markState(data)
    }
    data.host = undefined
    return data.handle
  }

  storageOf(x: TensorInfo): Storage {
    const data = this.#data(x)
    return data.handle === 0 ? (isInteger(x.dtype) ? STORAGE.i32 : STORAGE.f32) : data.storage
  }

  /** Begins to move the tensor's values to pinned host memory; does nothing when they are not on the device. */
  offload(x: TensorInfo): void {
    const { handle } = this.#data(x)
    if (handle !== 0) this.addon.offload(handle)
  }

  /** Begins to bring back what {@link offload} moved. */
  prefetch(x: TensorInfo): void {
    const { handle } = this.#data(x)
    if (handle !== 0) this.addon.prefetch(handle)
  }

  /** The tensor belongs to an optimizer's state; a pageable one may leave the device when memory is short. */
  optimizerState(x: TensorInfo, pageable: boolean): void {
    const data = this.#data(x)
    if (data.pageable === pageable) return
    data.pageable = pageable
    this.#markState(data)
  }

  #markState({ handle, pageable }: TensorData): void {
    if (handle !== 0 && pageable !== undefined) guarded(() => this.addon.optimizerState(handle, pageable))
  }

  /** Bytes of the tensor on the device; 0 when it is on the host only. */
  deviceBytes(x: TensorInfo): number {
    const { handle, storage, size } = this.#data(x)
    return handle === 0 ? 0 : size * (storage === STORAGE.bf16 ? 2 : 4)
  }

  /** True when the tensors are small and on the host, where the CPU is faster than a launch. */
  onHost(...tensors: TensorInfo[]): boolean {
    return tensors.every((x) => {
      const data = this.#data(x)
      return data.handle === 0 && this.isSmall(data.size)
    })
  }

  /** Whether so many elements begin on the host. */
  isSmall(size: number): boolean {
    return size * 4 <= this.#lazyBytes
  }

  #refuseInCapture(what: string): never {
    const operation = this.#fallback ?? (this.running === 'other' ? 'the step' : this.running)
    throw new TunesmithError(`${operation} ${what}, which a captured step cannot repeat`, { code: 'backend' })
  }

  #upload(data: TensorData): void {
    const { host, dtype, size } = data
    const Kind = isInteger(dtype) ? Int32Array : Float32Array
    const array = host instanceof Kind ? host : Kind.from(host as ArrayLike<number>)
    const storage = isInteger(dtype) ? STORAGE.i32 : STORAGE.f32
    const handle = guarded(() => this.addon.allocate(size, storage, dtype === 'int32' ? 'packed weights' : 'data'))
    // A captured step repeats kernels, not uploads; what is one number throughout (a factor, a bias of zeros) needs none.
    if (this.capturing && dtype === 'float32' && array.every((value) => Object.is(value, array[0])))
      guarded(() => this.operations.fill({ size, value: array[0] ?? 0, y: handle }))
    else if (this.capturing) {
      this.addon.free(handle)
      this.#refuseInCapture('brings values from the host')
    } else {
      guarded(() => this.addon.upload(handle, array))
      this.profiler?.moved('device', array.byteLength)
    }
    data.handle = handle
    data.storage = storage
    this.#markState(data)
    data.host =
      size * 4 > KEPT_BYTES || dtype !== 'int32' ? undefined : size * 4 > this.#lazyBytes ? array.slice() : array
  }

  #read(data: TensorData): Values {
    if (data.input && data.host !== undefined && !this.capturing) return data.host
    if (this.capturing) this.#refuseInCapture('reads values back')
    if (this.#fallback && !this.readBacks.has(this.#fallback)) {
      this.readBacks.add(this.#fallback)
      process.emitWarning(
        `${this.#fallback} has no CUDA kernel for these inputs: they are copied from the GPU and it runs on the CPU`,
        { code: 'TUNESMITH_CUDA_FALLBACK' },
      )
    }
    const read = isInteger(data.dtype) ? new Int32Array(data.size) : new Float32Array(data.size)
    guarded(() => this.addon.download(data.handle, read))
    const values = data.dtype === 'bool' ? Uint8Array.from(read) : read
    this.profiler?.moved('host', data.size * (data.storage === STORAGE.bf16 ? 2 : 4))
    if (data.size * 4 <= this.#lazyBytes) data.host = values
    return values
  }

  /** Runs a kernel of the device under its name, for error messages, the count of memory and the profile. */
  runOnDevice<Result extends TensorInfo | TensorInfo[] | undefined>(
    name: string,
    inputs: NamedTensorInfoMap,
    attrs: object,
    run: () => Result,
  ): Result {
    const outer = this.running
    const { profiler } = this
    const profiled = profiler?.begin(name)
    const made = this.#made
    this.running = name
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
      this.running = outer
      this.#made = made
      profiler?.end(profiled!)
    }
  }

  /** False with `TUNESMITH_CUDA_GRAPHS=0`. */
  capturesSteps(): boolean {
    return process.env.TUNESMITH_CUDA_GRAPHS !== '0'
  }

  createInput(shape: number[], dtype: 'float32' | 'int32'): TensorInfo {
    const { info } = this.output(shape, dtype === 'int32' ? STORAGE.i32 : STORAGE.f32)
    this.#data(info).input = true
    return info
  }

  /** The handles of inputs with the values that are new to them; host code that looks at them sees these too. */
  inputValues(inputs: TensorInfo[], values: (Float32Array | Int32Array)[]): (Handle | Float32Array | Int32Array)[] {
    return inputs.flatMap((input, i) => {
      const data = this.#data(input)
      const given = values[i]!
      const known = data.host as Float32Array | Int32Array | undefined
      if (known?.length === given.length && known.every((value, at) => value === given[at])) return []
      data.host = given.slice() as Values
      return [data.handle, given]
    })
  }

  assignInputs(inputs: TensorInfo[], values: (Float32Array | Int32Array)[]): void {
    const given = this.inputValues(inputs, values)
    if (given.length > 0) guarded(() => this.addon.assign(...given))
  }

  captureStep(inputs: TensorInfo[], f: () => Tensor): BackendStep | undefined {
    return captureStep(this, inputs, f)
  }

  /** What the host knows of a tensor's values is old. */
  forgetHost(x: TensorInfo): void {
    this.#data(x).host = undefined
  }

  /** Runs a kernel of the CPU backend; reading device memory in it is noted under its name. */
  runOnCpu<Result>(kernel: string, run: () => Result): Result {
    const outer = this.#fallback
    this.#fallback = kernel
    try {
      return run()
    } finally {
      this.#fallback = outer
    }
  }

  override readSync(dataId: DataId): Values {
    const data = this.data.get(dataId) as unknown as TensorData
    // Once: each look at the values of a large tensor copies them from the device.
    const values = data.complexTensorInfos ? undefined : data.values
    if (!ArrayBuffer.isView(values)) return super.readSync(dataId)
    // What is kept here must not change when the user changes what was read.
    return values === data.host ? (values as Float32Array).slice() : values
  }

  override disposeData(dataId: DataId, force = false): boolean {
    if (!this.data.has(dataId)) return true
    const data = this.data.get(dataId) as unknown as TensorData
    data.refCount--
    if (!force && data.refCount > 0) return false
    if (data.complexTensorInfos) {
      this.disposeData(data.complexTensorInfos.real.dataId, true)
      this.disposeData(data.complexTensorInfos.imag.dataId, true)
    }
    this.data.delete(dataId)
    this.#dropCopy(data)
    if (data.handle !== 0) guarded(() => this.addon.free(data.handle))
    return true
  }

  override memory() {
    return { unreliable: false, reasons: [] as string[] }
  }
}
