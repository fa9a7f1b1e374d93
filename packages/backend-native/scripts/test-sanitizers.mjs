// Compiles the kernels with sanitizers and runs their native tests: `npm run test:sanitizers`.
//
// AddressSanitizer with UndefinedBehaviorSanitizer, then ThreadSanitizer, each on every instruction set this processor
// has. Without a compiler, or without its sanitizer libraries, it says so and ends well; a finding is a failure.
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { compileTests, instructionSets } from './compile-directly.mjs'

const SANITIZERS = {
  'address and undefined behaviour': ['-fsanitize=address,undefined', '-fno-sanitize-recover=all'],
  thread: ['-fsanitize=thread'],
}
const compiler = process.env.CXX ?? 'g++'
const run = (command, args, env = {}) => spawnSync(command, args, { encoding: 'utf8', env: { ...process.env, ...env } })

/** Whether all tests pass with a sanitizer that the compiler has. */
async function passes(name, flags, folder) {
  const probe = join(folder, 'probe.cc')
  writeFileSync(probe, 'int main() { return 0; }\n')
  if (run(compiler, [...flags, probe, '-o', join(folder, 'probe')]).status !== 0) {
    console.log(`${name}: skipped, ${compiler} has no library for it`)
    return true
  }
  const program = await compileTests(compiler, ['-O1', '-g', ...flags], folder)
  // The tiles of AMX are in the kernels of AVX512_BF16; where there are none, these run once more.
  const sets = process.arch === 'x64' ? [...instructionSets(), 'amx'] : instructionSets()
  const failed = sets.filter((isa) => {
    const options = { TUNESMITH_ISA: isa, TSAN_OPTIONS: 'halt_on_error=1', UBSAN_OPTIONS: 'print_stacktrace=1' }
    const { status, stdout, stderr } = run(program, [], options)
    console.log(`${name}: ${stdout.trim() || 'no output'}`)
    if (status !== 0) console.log(stderr.slice(0, 4000))
    return status !== 0
  })
  return failed.length === 0
}

if (run(compiler, ['--version']).status !== 0) console.log(`skipped: no C++ compiler called ${compiler}; set CXX`)
else {
  const folder = mkdtempSync(join(tmpdir(), 'tunesmith-sanitizers-'))
  try {
    for (const [name, flags] of Object.entries(SANITIZERS))
      if (!(await passes(name, flags, folder))) process.exitCode = 1
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}
