/** Where tests find the goldens and data that are kept beside the repository and are not ours to publish. */
import { existsSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const besideRepository = join(dirname(fileURLToPath(import.meta.url)), '..', '..', '..', '..', 'shared')

/**
 * The path of a file or folder under the shared folder (`TUNESMITH_SHARED`, or `shared/` beside the repository).
 * Undefined, with the reason printed once, where it is absent: the test then skips.
 */
export function sharedPath(name) {
  const path = join(process.env.TUNESMITH_SHARED ?? besideRepository, name)
  if (existsSync(path)) return path
  console.warn(`skipped: ${name} is not there; set TUNESMITH_SHARED to the folder that holds it`)
  return undefined
}

const ARRAYS = {
  F32: Float32Array,
  F16: Uint16Array,
  BF16: Uint16Array,
  U8: Uint8Array,
  I8: Int8Array,
  I32: Int32Array,
}

/**
 * Reads tensors of a safetensors file under the shared folder by name, as typed arrays of their bits. Undefined, with the
 * reason printed, where the file is absent.
 */
export function sharedTensors(name) {
  const path = sharedPath(name)
  if (!path) return undefined
  const file = readFileSync(path)
  const start = 8 + Number(file.readBigUInt64LE(0))
  const header = JSON.parse(file.toString('utf8', 8, start))
  return (tensor) => {
    const { dtype, data_offsets: [begin, end] = [] } = header[tensor] ?? {}
    if (!ARRAYS[dtype]) throw new Error(`no tensor ${tensor} that can be read in ${path}`)
    return new ARRAYS[dtype](new Uint8Array(file.subarray(start + begin, start + end)).buffer)
  }
}
