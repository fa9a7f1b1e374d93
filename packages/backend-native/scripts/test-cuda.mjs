// What of the CUDA backend can be tested without a GPU and outside of vitest: `npm run test:cuda`.
//
// The host logic, every launch and every operation on the emulator under AddressSanitizer and UndefinedBehaviorSanitizer, and,
// where nvcc is there, that the addon and the test program for a GPU compile without a warning for one architecture, and that
// no kernel spills registers. What a machine lacks is said and passed over.
import { spawnSync } from 'node:child_process'
import { buildCuda } from './build-cuda.mjs'
import { spills } from './cuda-resources.mjs'

const ARCH = 'sm_80'
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
  console.log(stdout.trim().replace(/^/gm, '  '))
  if (status !== 0) {
    failures.push('emulated kernels')
    console.log(stderr.slice(0, 4000))
  }
}
const addon = await buildCuda({ arch: ARCH })
report(addon, `the addon for ${ARCH}`)
if (addon.logs) {
  const spilled = spills(addon.logs)
  if (spilled.length > 0) failures.push('spilled registers')
  for (const line of spilled) console.log(`  spills: ${line}`)
}
// Shares the addon's kernels: only the tests themselves are compiled.
report(await buildCuda({ arch: ARCH, tests: true }), `the test program for ${ARCH}`)
if (failures.length > 0) console.log(`FAILED: ${failures.join(', ')}`)
process.exitCode = failures.length > 0 ? 1 : 0
