import type { backend_util, DataType, TensorInfo } from '@tensorflow/tfjs-core'
import { type Handle, STORAGE, type Storage } from './addon'
import type { Device } from './device'
import { guarded } from './errors'

type Values = backend_util.BackendValues

/** Up to this many bytes, what is on the device may be on the host as well: labels, lengths, scalars. */
const KEPT_BYTES = 4 * 1024 * 1024

/** Booleans are int32 on the device. */
export const isInteger = (dtype: DataType) => dtype === 'int32' || dtype === 'bool'

/**
 * The data of a tensor: on the device, on the host, or both. The kernels of TensorFlow.js' CPU backend read `values`,
 * which fetches what is only on the device.
 */
export class TensorData {
  handle: Handle = 0
  complexTensorInfos?: { real: TensorInfo; imag: TensorInfo }
  /** Its values change from launch to launch of a captured step. */
  input = false
  /** Storage of `handle`. */
  #storage: Storage = 0
  /** Of a float32 parameter on the device: the same in the type of activations. 0 when there is none. */
  #copy: Handle = 0
  /** Set for what an optimizer keeps, also when it is not on the device yet: whether it may leave it. */
  #pageable: boolean | undefined

  /** @param host its values; undefined when only the device has the current ones. */
  constructor(
    readonly device: Device,
    public host: Values | undefined,
    public dtype: DataType,
    public refCount: number,
    readonly size: number,
  ) {}

  get values(): Values | undefined {
    if ((this.host !== undefined && !this.input) || this.handle === 0) return this.host
    return this.#read()
  }

  /** How the values are stored on the device, or will be. */
  get storage(): Storage {
    return this.handle === 0 ? (isInteger(this.dtype) ? STORAGE.i32 : STORAGE.f32) : this.#storage
  }

  /** Bytes on the device; 0 when it is on the host only. */
  get deviceBytes(): number {
    return this.handle === 0 ? 0 : this.size * (this.#storage === STORAGE.bf16 ? 2 : 4)
  }

  /** Gives it memory on the device that a kernel is about to fill. */
  allocate(storage: Storage): Handle {
    this.handle = this.device.allocate(this.size, storage)
    this.#storage = storage
    return this.handle
  }

  /** Its device memory; uploads what is on the host only. */
  onDevice(): Handle {
    if (this.handle === 0) this.upload()
    return this.handle
  }

  upload(): void {
    const { device, host, dtype, size } = this
    const { addon } = device
    const Kind = isInteger(dtype) ? Int32Array : Float32Array
    const array = host instanceof Kind ? host : Kind.from(host as ArrayLike<number>)
    const { storage } = this
    const handle = device.allocate(size, storage, dtype === 'int32' ? 'packed weights' : 'data')
    // What is one number throughout (a factor, a bias of zeros) needs no upload.
    if (device.capturing && dtype === 'float32' && array.every((value) => Object.is(value, array[0])))
      guarded(() => device.operations.fill({ size, value: array[0] ?? 0, y: handle }))
    else if (device.capturing) {
      addon.free(handle)
      device.refuseInCapture('brings values from the host')
    } else {
      guarded(() => addon.upload(handle, array))
      device.profiler?.moved('device', array.byteLength)
    }
    this.handle = handle
    this.#storage = storage
    this.#markState()
    const kept = size * 4 <= KEPT_BYTES && dtype === 'int32'
    this.host = !kept ? undefined : size * 4 > device.lazyBytes ? array.slice() : array
  }

  #read(): Values {
    const { device, host, dtype, size } = this
    if (this.input && host !== undefined && !device.capturing) return host
    if (device.capturing) device.refuseInCapture('reads values back')
    device.noteReadBack()
    const read = isInteger(dtype) ? new Int32Array(size) : new Float32Array(size)
    guarded(() => device.addon.download(this.handle, read))
    const values = dtype === 'bool' ? Uint8Array.from(read) : read
    device.profiler?.moved('host', this.deviceBytes)
    if (size * 4 <= device.lazyBytes) this.host = values
    return values
  }

  /**
   * A parameter as products take it: converted to the type of activations once, and kept beside the parameter until
   * something writes to it.
   */
  parameter(): Handle {
    const { device, size } = this
    const handle = this.onDevice()
    if (this.#storage === device.activation || size === 0) return handle
    if (this.#copy === 0) this.#copy = device.converted(handle, size, device.activation, 'parameters in bf16')
    return this.#copy
  }

  /** A float32 parameter that a kernel writes to in place, and its copy (or 0), to which it writes the same. */
  writableParameter(): { handle: Handle; copy: Handle } {
    const copy = this.#copy
    this.#copy = 0
    const handle = this.writable(STORAGE.f32)
    this.#copy = copy
    return { handle, copy }
  }

  /** Device memory that a kernel writes to in place, stored as asked for; converted once when it is not. */
  writable(storage: Storage): Handle {
    const { device } = this
    const handle = this.onDevice()
    this.#dropCopy()
    if (this.#storage !== storage) {
      this.handle = device.converted(handle, this.size, storage)
      device.addon.free(handle)
      this.#storage = storage
      this.#markState()
    }
    this.host = undefined
    return this.handle
  }

  /** Begins to move the values to pinned host memory; does nothing when they are not on the device. */
  offload(): void {
    if (this.handle !== 0) this.device.addon.offload(this.handle)
  }

  /** Begins to bring back what {@link offload} moved. */
  prefetch(): void {
    if (this.handle !== 0) this.device.addon.prefetch(this.handle)
  }

  /** It belongs to an optimizer's state; a pageable one may leave the device when memory is short. */
  markOptimizerState(pageable: boolean): void {
    if (this.#pageable === pageable) return
    this.#pageable = pageable
    this.#markState()
  }

  #markState(): void {
    const { handle, device } = this
    const pageable = this.#pageable
    if (handle !== 0 && pageable !== undefined) guarded(() => device.addon.optimizerState(handle, pageable))
  }

  #dropCopy(): void {
    if (this.#copy !== 0) this.device.addon.free(this.#copy)
    this.#copy = 0
  }

  /** Gives its device memory back. */
  release(): void {
    this.#dropCopy()
    if (this.handle !== 0) guarded(() => this.device.addon.free(this.handle))
  }
}
