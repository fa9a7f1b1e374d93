import type { backend_util, DataType, TensorInfo } from '@tensorflow/tfjs-core'
import type { Handle, Storage } from './addon'

type Values = backend_util.BackendValues

/**
 * The data of a tensor: on the device, on the host, or both. The kernels of TensorFlow.js' CPU backend read `values`,
 * which fetches what is only on the device.
 */
export class TensorData {
  handle: Handle = 0
  storage: Storage = 0
  /** Set for what an optimizer keeps, also when it is not on the device yet: whether it may leave it. */
  pageable: boolean | undefined
  /** Of a float32 parameter on the device: the same in bf16, as products take it. 0 when there is none. */
  copy: Handle = 0
  complexTensorInfos?: { real: TensorInfo; imag: TensorInfo }
  /** Its values change from launch to launch of a captured step. */
  input = false
  /** What is on the host; undefined when only the device has the current values. */
  host: Values | undefined

  constructor(
    readonly fetch: (data: TensorData) => Values,
    host: Values | undefined,
    public dtype: DataType,
    public refCount: number,
    readonly size: number,
  ) {
    this.host = host
  }

  get values(): Values | undefined {
    if ((this.host !== undefined && !this.input) || this.handle === 0) return this.host
    return this.fetch(this)
  }
}
