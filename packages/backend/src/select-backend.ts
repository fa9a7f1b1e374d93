import * as tf from '@tensorflow/tfjs-core'
import { parseOptions, TunesmithError } from '@tunesmith/core'
import { z } from 'zod'
import { importOptional } from './import-optional'
import { portableKernels } from './portable'
import { registerPortable } from './portable/register'
import { mayHaveGpu, tensorFlowUsesGpu } from './tensorflow/gpu'
import { loadTensorFlow } from './tensorflow/load'

export const BACKEND_NAMES = ['cuda', 'native', 'tensorflow', 'wasm', 'cpu'] as const
export type BackendName = (typeof BACKEND_NAMES)[number]

const optionsSchema = z.strictObject({
  /** The backend to use; default `TUNESMITH_BACKEND`, else the fastest that is there. */
  backend: z.enum(['auto', ...BACKEND_NAMES]).optional(),
  /**
   * Of matrix products, on the backends that have more than one: `bf16` or `f32` on native, these and `tf32` on cuda.
   * Default `TUNESMITH_CPU_PRECISION` or `TUNESMITH_CUDA_PRECISION`, else what is fastest there. Others compute in
   * float32 and refuse a different one.
   */
  precision: z.enum(['bf16', 'f32', 'tf32']).optional(),
})
export type SelectBackendOptions = z.input<typeof optionsSchema>

export interface SelectedBackend {
  name: BackendName
  /** One line on what it is: instruction set, threads, versions. */
  description: string
  /** Kernels that run as compositions of standard operations because the backend has none of its own. */
  portableKernels: string[]
  /** Why each faster backend was not taken. */
  passedOver: { name: BackendName; reason: string }[]
}

type Loader = (options: { precision?: 'bf16' | 'f32' | 'tf32' }) => Promise<string>

/** Loads and registers one backend; throws when it is not there. Returns its description. */
const loaders: Record<BackendName, Loader> = {
  async cuda(options) {
    // Not a dependency, nor is the next one: both stand on this package, and who wants only wasm needs neither.
    const cuda = (await importOptional('@tunesmith/backend-cuda')) as {
      registerCudaBackend: (options: object) => { name: string; precision: string; matrixProducts: string }
    }
    const { name, precision, matrixProducts } = cuda.registerCudaBackend(options)
    return `CUDA on ${name} (${precision}, ${matrixProducts})`
  },
  async native(options) {
    const native = (await importOptional('@tunesmith/backend-native')) as {
      registerNativeBackend: (options: object) => { isa: string; threads: number; precision: string }
    }
    const { isa, threads, precision } = native.registerNativeBackend(options)
    const products = precision === 'bf16' ? ', products in bf16' : ''
    return `native C++ (${isa}, ${threads} thread${threads === 1 ? '' : 's'}${products})`
  },
  tensorflow: inFloat32(loadTensorFlow),
  wasm: inFloat32(async () => {
    await import('@tensorflow/tfjs-backend-wasm')
    return 'WebAssembly'
  }),
  cpu: inFloat32(async () => {
    await import('@tensorflow/tfjs-backend-cpu')
    return 'plain JavaScript'
  }),
}

function inFloat32(load: () => Promise<string>): Loader {
  return async ({ precision = 'f32' }) => {
    if (precision !== 'f32') throw new Error(`computes in f32, not in ${precision}`)
    return load()
  }
}

interface Candidate {
  name: BackendName
  /** Taken only when it computes on a GPU. */
  onGpu?: boolean
}

/** TensorFlow comes twice: before our own CPU backend with a GPU, after it without. */
function automaticOrder(): Candidate[] {
  const order: Candidate[] = BACKEND_NAMES.map((name) => ({ name }))
  if (mayHaveGpu()) order.splice(1, 0, { name: 'tensorflow', onGpu: true })
  return order
}

let selected: SelectedBackend | undefined

/**
 * Picks the TensorFlow.js backend, makes it current and gives it every kernel it lacks.
 *
 * The order is cuda, tensorflow with a GPU, native, tensorflow, wasm, cpu; `backend` or the variable `TUNESMITH_BACKEND` forces one.
 *
 * @throws {TunesmithError} `backend` when the forced one is not there, with the reason.
 */
export async function selectBackend(options: SelectBackendOptions = {}): Promise<SelectedBackend> {
  const parsed = parseOptions(optionsSchema, options, 'selectBackend')
  const wish = parsed.backend ?? (process.env.TUNESMITH_BACKEND || 'auto')
  const { backend } = parseOptions(optionsSchema.pick({ backend: true }), { backend: wish }, 'TUNESMITH_BACKEND')
  const candidates = backend === 'auto' ? automaticOrder() : [{ name: backend as BackendName }]
  // Without it TensorFlow.js' own backends print an advertisement for another one.
  tf.enableProdMode()
  const passedOver: SelectedBackend['passedOver'] = []
  for (const { name, onGpu } of candidates) {
    if (passedOver.some((backend) => backend.name === name)) continue
    try {
      const loaded = await loaders[name]({ precision: parsed.precision })
      if (!(await tf.setBackend(name))) throw new Error(`TensorFlow.js could not start its backend "${name}"`)
      if (onGpu && !tensorFlowUsesGpu()) continue
      const description = onGpu ? `${loaded}, on a GPU` : loaded
      selected = { name, description, portableKernels: registerPortable(name, portableKernels), passedOver }
      return selected
    } catch (error) {
      passedOver.push({ name, reason: (error as Error).message })
    }
  }
  throw new TunesmithError(
    `No backend could be started: ${passedOver.map((p) => `${p.name}: ${p.reason}`).join('; ')}`,
    {
      code: 'backend',
      where: backend === 'auto' ? undefined : `backend "${backend}"`,
      remedy: 'Run `npx tunesmith doctor`, or set TUNESMITH_BACKEND=cpu, which is always there',
    },
  )
}

/** What {@link selectBackend} chose last; undefined before. */
export function currentBackend(): SelectedBackend | undefined {
  return selected
}
