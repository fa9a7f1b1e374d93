// Runs TensorFlow.js' operation tests on the emulated device in float32: `node scripts/tfjs-conformance.mjs [text that spec
// names must contain]`. Every tensor of numbers goes to the device; what was read back for an operation without a kernel is
// listed.
import { dirname } from 'node:path'
import { fileURLToPath } from 'node:url'
import { runConformance } from '@tunesmith/tooling/tfjs-conformance'
import { buildCuda } from './build-cuda.mjs'

Object.assign(process.env, {
  TUNESMITH_CUDA_EMULATE: '1',
  TUNESMITH_CUDA_PRECISION: 'f32',
  TUNESMITH_CUDA_POISON: '1',
  TUNESMITH_CUDA_HOST_BYTES: '0',
})
const { problem, failed } = await buildCuda({ emulated: true })
if (problem) {
  console.log(problem)
  process.exit(failed ? 1 : 0)
}
await runConformance({
  root: dirname(dirname(fileURLToPath(import.meta.url))),
  name: 'cuda',
  start: `console.log('cuda:', ours.registerCudaBackend().name)
globalThis.readBacks = ours.cudaReadBacks`,
})
console.log(`read back for: ${globalThis.readBacks().sort().join(', ') || 'nothing'}`)
