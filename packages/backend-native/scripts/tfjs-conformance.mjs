// Runs TensorFlow.js' operation tests: `node scripts/tfjs-conformance.mjs [text that spec names must contain]`.
import { dirname } from 'node:path'
import { fileURLToPath } from 'node:url'
import { runConformance } from '@tunesmith/tooling/tfjs-conformance'

await runConformance({
  root: dirname(dirname(fileURLToPath(import.meta.url))),
  name: 'native',
  start: `const info = ours.registerNativeBackend()
console.log('native:', info.isa + ',', info.threads, 'threads')`,
})
