import { TunesmithError } from '@tunesmith/core'
import { type CudaAddon, type CudaDevice, type Handle, operationsOf, STORAGE, type Storage } from './addon'
import { guarded } from './errors'
import type { CudaProfiler } from './profile'

/** How activations are stored and multiplied. */
export type CudaPrecision = 'bf16' | 'f32' | 'tf32'
const PRECISIONS: readonly CudaPrecision[] = ['bf16', 'f32', 'tf32']

const LAZY_BYTES = 64 * 1024

/** The open device, the operation that uses it, and what is noticed on the way. */
export class Device {
  readonly info: CudaDevice
  /** The addon's operations around the kernels, by name and field. */
  readonly operations: ReturnType<typeof operationsOf>
  /** Storage of activations and of their gradients. */
  readonly activation: Storage
  /** The kernel that runs, for error messages and the count of memory. */
  running = 'other'
  /** The kernel of the CPU backend that runs; undefined when none does. */
  onCpu: string | undefined
  /** True while kernels are written down to be launched together. */
  capturing = false
  /** Counts what the kernels do; undefined outside of measurements. */
  profiler: CudaProfiler | undefined
  /** Operations that read device memory back to run on the CPU, in the order they were met. */
  readonly readBacks = new Set<string>()
  /** Arrays up to this size go to the device with their first use there, larger ones at once. Tests set it to 0. */
  readonly lazyBytes = Number(process.env.TUNESMITH_CUDA_HOST_BYTES ?? LAZY_BYTES)

  constructor(
    readonly addon: CudaAddon,
    readonly precision: CudaPrecision,
    index: number,
  ) {
    this.info = guarded(() => addon.open(index, PRECISIONS.indexOf(precision)))
    this.operations = operationsOf(addon)
    this.activation = precision === 'bf16' ? STORAGE.bf16 : STORAGE.f32
  }

  allocate(elements: number, storage: Storage, label = this.running): Handle {
    return guarded(() => this.addon.allocate(elements, storage, label))
  }

  /** New memory with the same values in another type. */
  converted(handle: Handle, elements: number, storage: Storage, label = this.running): Handle {
    const made = this.allocate(elements, storage, label)
    guarded(() => this.operations.convert({ size: elements, x: handle, y: made }))
    return made
  }

  /** A captured step repeats kernels, and nothing that the host has a part in. */
  refuseInCapture(what: string): never {
    const operation = this.onCpu ?? (this.running === 'other' ? 'the step' : this.running)
    throw new TunesmithError(`${operation} ${what}, which a captured step cannot repeat`, { code: 'backend' })
  }

  /** Notes that the kernel of the CPU backend that runs, if any, reads device memory; says so once. */
  noteReadBack(): void {
    if (this.onCpu === undefined || this.readBacks.has(this.onCpu)) return
    this.readBacks.add(this.onCpu)
    process.emitWarning(
      `${this.onCpu} has no CUDA kernel for these inputs: they are copied from the GPU and it runs on the CPU`,
      { code: 'TUNESMITH_CUDA_FALLBACK' },
    )
  }
}
