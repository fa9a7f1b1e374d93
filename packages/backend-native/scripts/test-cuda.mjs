// What of the CUDA backend can be tested without a GPU and outside of vitest: `npm run test:cuda`.
//
// The host logic and every emulated kernel under AddressSanitizer and UndefinedBehaviorSanitizer, and, where nvcc is there,
// that the addon compiles without a warning for one architecture. What a machine lacks is said and passed over.
import { spawnSync } from 'node:child_process'
import { buildCuda } from './build-cuda.mjs'

const failures = []

function report({ problem, failed, upToDate, seconds }, what) {
  if (failed) failures.push(what)
  console.log(`${what}: ${problem ?? (upToDate ? 'up to date' : `built in ${seconds.toFixed(0)} s`)}`)
}

const sanitized = await buildCuda({ emulated: true, tests: true, sanitize: true })
report(sanitized, 'host logic and emulated kernels')
if (sanitized.file) {
  const env = { ...process.env, UBSAN_OPTIONS: 'print_stacktrace=1' }
  const { status, stdout, stderr } = spawnSync(sanitized.file, { encoding: 'utf8', env })
  console.log(`  ${stdout.trim()}`)
  if (status !== 0) {
    failures.push('emulated kernels')
    console.log(stderr.slice(0, 4000))
  }
}
report(await buildCuda({ arch: 'sm_80' }), 'the addon for sm_80')
process.exitCode = failures.length > 0 ? 1 : 0
