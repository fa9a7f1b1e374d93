/** Lets a test file run on the emulated CUDA device, which needs no GPU. */
import { spawnSync } from 'node:child_process'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const script = join(dirname(fileURLToPath(import.meta.url)), '../../backend-cuda/scripts/build-cuda.mjs')

/**
 * Points the backend `cuda` at the emulated device, building it when its sources changed; with
 * `TUNESMITH_CUDA_DEVICE_TESTS=1` (`npm run bench:cuda`) at the GPU. Must come before the backend is loaded.
 *
 * @returns false, with a printed reason, where it cannot be built.
 */
export function emulateCuda(precision) {
  process.env.TUNESMITH_CUDA_PRECISION = precision
  // Memory comes full of NaN: what is read before it was written shows.
  process.env.TUNESMITH_CUDA_POISON = '1'
  if (process.env.TUNESMITH_CUDA_DEVICE_TESTS === '1') return true
  process.env.TUNESMITH_CUDA_EMULATE = '1'
  const { status, stdout, stderr } = spawnSync(process.execPath, [script, '--emulated'], { encoding: 'utf8' })
  if (status !== 0) throw new Error(`${stdout}${stderr}`)
  if (!stdout.includes('skipped')) return true
  console.log(stdout.trim())
  return false
}
