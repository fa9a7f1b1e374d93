import type { NamedTensorInfoMap, TensorInfo } from '@tensorflow/tfjs-core'
import { type CudaAddon, STORAGE, type Storage } from './addon'
import { costOf } from './costs'

/** What was asked of the device under one operation's name. */
export interface CudaOperation {
  /** The kernel's name without `Tunesmith`, e.g. `LoraLinear`. */
  name: string
  calls: number
  /** Kernels, matrix products and copies that were submitted for it. */
  launches: number
  /** Bytes it had to read from and write to the device's memory, by counting. */
  bytes: number
  /** Multiplications and additions of its matrix products, by counting. */
  flops: number
  /** Time on the device; 0 on one that has no clock (the emulated and the dry one). */
  seconds: number
  /** The launches by kernel, longest first. */
  kernels: { name: string; launches: number; seconds: number }[]
}

/** What {@link stopCudaProfile} gives. */
export interface CudaProfile {
  /** Most time first, then most bytes. */
  operations: CudaOperation[]
  launches: number
  bytes: number
  flops: number
  /** The sum of the launches' time on the device: less than the time that passed where the device waited. */
  seconds: number
  /** Bytes from the host to the device and back. */
  uploaded: number
  downloaded: number
  /** Times the driver was asked for memory, which stops the device: none in a step that has settled. */
  driverAllocations: number
}

const UPLOAD = 'upload'
const DOWNLOAD = 'download'
/** What the addon calls a request to the driver; no launch. */
const DRIVER_ALLOCATION = 'driver allocation'

/** What the profile looks up of the tensors that kernels are given. */
interface Tensors {
  readonly device: { readonly activation: Storage }
  tensor(x: TensorInfo): { readonly deviceBytes: number }
  checkedInts(x: TensorInfo): Int32Array
}

/** Counts what goes through the kernels of one backend, from its creation to `stop`. */
export class CudaProfiler {
  readonly #operations = new Map<string, { calls: number; bytes: number; flops: number }>()
  #running = 'other'

  constructor(
    readonly addon: CudaAddon,
    readonly tensors: Tensors,
  ) {
    addon.startProfile(true)
  }

  /** The launches from here on are those of `name`; returns what ran around it, for {@link end}. */
  begin(name: string): string {
    const outer = this.#running
    this.#running = name
    this.addon.profileOperation(name)
    return outer
  }

  end(outer: string): void {
    this.#running = outer
    this.addon.profileOperation(outer)
  }

  #add(name: string, bytes: number, flops = 0): void {
    const row = this.#operations.get(name) ?? { calls: 0, bytes: 0, flops: 0 }
    this.#operations.set(name, row)
    row.calls++
    row.bytes += bytes
    row.flops += flops
  }

  /** A kernel ran on the device. */
  count(name: string, inputs: NamedTensorInfoMap, attrs: object, outputs: readonly TensorInfo[]): void {
    const { tensors } = this
    const { bytes, flops } = costOf(name, {
      inputs,
      attrs: attrs as Record<string, unknown>,
      outputs,
      bytesOf: (x) => (x ? tensors.tensor(x).deviceBytes : 0),
      hostInts: (x) => tensors.checkedInts(x),
      activationBytes: tensors.device.activation === STORAGE.bf16 ? 2 : 4,
    })
    this.#add(name, bytes, flops)
  }

  /** A tensor went from one side to the other. */
  moved(to: 'device' | 'host', bytes: number): void {
    this.#add(to === 'device' ? UPLOAD : DOWNLOAD, bytes)
  }

  /** Waits for the device and gives what was counted. */
  stop(): CudaProfile {
    const byName = new Map<string, CudaOperation>()
    const rowOf = (name: string) => {
      const found = byName.get(name) ?? { name, calls: 0, launches: 0, bytes: 0, flops: 0, seconds: 0, kernels: [] }
      byName.set(name, found)
      return found
    }
    let driverAllocations = 0
    for (const { operation, kernel, launches, seconds } of this.addon.stopProfile()) {
      if (kernel === DRIVER_ALLOCATION) {
        driverAllocations += launches
        continue
      }
      const row = rowOf(operation)
      row.launches += launches
      row.seconds += seconds
      row.kernels.push({ name: kernel, launches, seconds })
    }
    const { [UPLOAD]: up, [DOWNLOAD]: down, ...counted } = Object.fromEntries(this.#operations)
    for (const [name, { calls, ...cost }] of Object.entries(counted)) {
      const row = Object.assign(rowOf(name), { calls })
      // A view of what is there moved nothing.
      if (row.launches > 0) Object.assign(row, cost)
    }
    const operations = [...byName.values()].sort((a, b) => b.seconds - a.seconds || b.bytes - a.bytes)
    for (const { kernels } of operations) kernels.sort((a, b) => b.seconds - a.seconds || b.launches - a.launches)
    const total = (key: 'launches' | 'bytes' | 'flops' | 'seconds') =>
      operations.reduce((sum, row) => sum + row[key], 0)
    return {
      operations,
      ...{ launches: total('launches'), bytes: total('bytes'), flops: total('flops'), seconds: total('seconds') },
      ...{ uploaded: up?.bytes ?? 0, downloaded: down?.bytes ?? 0, driverAllocations },
    }
  }
}
