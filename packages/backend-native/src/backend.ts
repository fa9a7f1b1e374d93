import { MathBackendCPU } from '@tensorflow/tfjs-backend-cpu'
import {
  type backend_util,
  DataStorage,
  type DataType,
  engine,
  type KernelFunc,
  type TensorInfo,
  util,
} from '@tensorflow/tfjs-core'
import { type Hand, type Make, replaceKernel } from '@tunesmith/backend/contract'
import { type Addon, operationsOf } from './addon'
import { BufferPool, POOLED_BYTES } from './buffer-pool'

export const BACKEND_NAME = 'native'
/** A file's part of at least so many bytes is mapped instead of read. */
const MAPPED_BYTES = 2 ** 20

export function replaceNativeKernel(kernelName: string, kernelFunc: KernelFunc): void {
  replaceKernel(BACKEND_NAME, kernelName, kernelFunc)
}

type Values = backend_util.BackendValues
type DataId = TensorInfo['dataId']

interface TensorData {
  values?: Values
  dtype: DataType
  complexTensorInfos?: { real: TensorInfo; imag: TensorInfo }
  refCount: number
}

/**
 * TensorFlow.js' own CPU backend with the memory of a native one: a tensor's values are a typed array that C++ can
 * read and write, so that every kernel of the CPU backend works on it unchanged.
 *
 * Two rules keep reuse of memory invisible: what a kernel hands over is copied when it lies in a pooled buffer (a slice
 * of another tensor), and what a user reads is a copy.
 */
export class NativeBackend extends MathBackendCPU {
  readonly addon: Addon
  readonly operations: ReturnType<typeof operationsOf>
  readonly pool: BufferPool
  #nextId = 0

  constructor(addon: Addon) {
    super()
    this.addon = addon
    this.operations = operationsOf(addon)
    this.pool = new BufferPool(addon)
    this.data = new DataStorage(this, engine())
  }

  override write(values: Values, shape: number[], dtype: DataType): DataId {
    const dataId = { id: this.#nextId++ }
    this.move(dataId, values, shape, dtype, 1)
    return dataId
  }

  override move(dataId: DataId, values: Values, _shape: number[], dtype: DataType, refCount: number): void {
    let kept = values
    if (ArrayBuffer.isView(values)) {
      // A small part of a larger array may be a view of another tensor's memory, which a kernel may write to.
      const part = values.byteLength < POOLED_BYTES && values.byteLength < values.buffer.byteLength
      if (part || this.pool.owns(values.buffer)) kept = (values as Float32Array).slice()
    } else if (Array.isArray(values) && dtype !== 'string') {
      kept = util.toTypedArray(values as unknown as number[], dtype) as Values
    }
    this.data.set(dataId, { values: kept, dtype, refCount } as TensorData as never)
  }

  /** A tensor for a kernel to fill, and its uninitialised memory. */
  readonly output = <Kind extends 'float32' | 'int32'>(shape: number[], dtype: Kind) => {
    const size = util.sizeFromShape(shape)
    const Kind = dtype === 'float32' ? Float32Array : Int32Array
    const array = size * 4 < POOLED_BYTES ? new Kind(size) : new Kind(this.pool.allocate(size * 4), 0, size)
    const values = array as Kind extends 'float32' ? Float32Array : Int32Array
    const dataId = { id: this.#nextId++ }
    this.data.set(dataId, { values, dtype, refCount: 1 } as TensorData as never)
    return { info: { dataId, shape, dtype } as TensorInfo, values }
  }

  /** An output as the kernels' contract asks for it. */
  readonly make: Make = (shape) => {
    const { info, values } = this.output(shape, 'float32')
    return { info, value: values }
  }

  /** An input likewise. */
  readonly hand: Hand = (x, { dtype, role }) => {
    if (role === 'trained' || role === 'state' || role === 'cache') return this.#writable(x, dtype)
    return dtype === 'int32' ? this.ints(x) : this.floats(x)
  }

  /** The tensor's own memory, converted when TensorFlow.js kept another type of array (it does after some casts). */
  floats({ dataId }: TensorInfo): Float32Array {
    const { values } = this.data.get(dataId) as TensorData
    return values instanceof Float32Array ? values : Float32Array.from(values as ArrayLike<number>)
  }

  ints({ dataId }: TensorInfo): Int32Array {
    const { values } = this.data.get(dataId) as TensorData
    return values instanceof Int32Array ? values : Int32Array.from(values as ArrayLike<number>)
  }

  /** Memory that a kernel may write to: an array that came from the user is copied first, once. */
  #writable({ dataId, shape }: TensorInfo, dtype: 'float32' | 'int32'): Float32Array | Int32Array {
    const data = this.data.get(dataId) as TensorData & { own?: boolean }
    const values = data.values as Float32Array | Int32Array
    const isKind = values instanceof (dtype === 'float32' ? Float32Array : Int32Array)
    if (isKind && (data.own || this.pool.owns(values.buffer))) return values
    const { info, values: copy } = this.output(shape, dtype)
    copy.set(values)
    this.data.delete(info.dataId)
    data.values = copy
    data.own = true
    return copy
  }

  /** Memory that is not pooled, so that a tensor made on it is not a copy; undefined when there is none. */
  weightMemory(bytes: number): ArrayBuffer | undefined {
    return bytes < POOLED_BYTES ? undefined : (this.addon.allocateBuffer(bytes) ?? undefined)
  }

  /** A part of a file as memory that a tensor can be made on; undefined where a copy is as good or cannot be avoided. */
  mapWeight(path: string, offset: number, bytes: number): ArrayBuffer | undefined {
    // A page of memory holds 4 to 64 KiB, and Int32Array asks for whole words.
    if (bytes < MAPPED_BYTES || offset % 4 !== 0 || bytes % 4 !== 0) return undefined
    return this.addon.mapFile(path, offset, bytes) ?? undefined
  }

  override readSync(dataId: DataId): Values {
    const { values, complexTensorInfos } = this.data.get(dataId) as TensorData
    if (complexTensorInfos || values === undefined || !ArrayBuffer.isView(values)) return super.readSync(dataId)
    return (super.readSync(dataId) as Float32Array).slice()
  }

  override disposeData(dataId: DataId, force = false): boolean {
    if (!this.data.has(dataId)) return true
    const data = this.data.get(dataId) as TensorData
    data.refCount--
    if (!force && data.refCount > 0) return false
    if (data.complexTensorInfos) {
      this.disposeData(data.complexTensorInfos.real.dataId, true)
      this.disposeData(data.complexTensorInfos.imag.dataId, true)
    }
    this.data.delete(dataId)
    const values = data.values as Float32Array | undefined
    if (values && ArrayBuffer.isView(values) && this.pool.owns(values.buffer))
      this.pool.release(values.buffer as unknown as ArrayBuffer)
    return true
  }

  override memory() {
    return { unreliable: false, reasons: [] as string[] }
  }
}
