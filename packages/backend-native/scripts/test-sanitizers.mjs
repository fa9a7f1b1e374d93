// Compiles the kernels with sanitizers and runs their native tests: `npm run test:sanitizers`.
//
// AddressSanitizer with UndefinedBehaviorSanitizer, then ThreadSanitizer, each on every instruction set this processor
// has. Without a compiler, or without its sanitizer libraries, it says so and ends well; a finding is a failure.
import { spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const native = join(root, 'native')
const SANITIZERS = {
  'address and undefined behaviour': ['-fsanitize=address,undefined', '-fno-sanitize-recover=all'],
  thread: ['-fsanitize=thread'],
}
const FLAGS = {
  base: [],
  avx2: ['-mavx2', '-mfma', '-mf16c'],
  avx512: ['-mavx512f', '-mavx512bw', '-mavx512dq', '-mavx512vl', '-mfma', '-mf16c'],
}
const instructionSets = process.arch === 'x64' ? ['base', 'avx2', 'avx512'] : ['base']
const compiler = process.env.CXX ?? 'g++'

const run = (command, args, env = {}) =>
  spawnSync(command, args, { encoding: 'utf8', env: { ...process.env, ...env }, maxBuffer: 1 << 26 })

function compile(flags, folder) {
  const objects = []
  const source = (name, extra = []) => {
    const object = join(folder, `${name.replace(/\W/g, '_')}.o`)
    const args = ['-std=c++17', '-O1', '-g', '-ffp-contract=fast', '-w', '-pthread', ...flags, ...extra]
    const { status, stderr } = run(compiler, [...args, '-c', join(native, name), '-o', object])
    if (status !== 0) throw new Error(stderr.slice(-3000))
    objects.push(object)
  }
  for (const name of ['threads.cc', 'memory.cc', 'code_map.cc', 'dispatch.cc', 'test/kernels_test.cc']) source(name)
  for (const isa of instructionSets) source(`isa_${isa}.cc`, FLAGS[isa])
  const program = join(folder, 'kernels_test')
  const { status, stderr } = run(compiler, [...objects, ...flags, '-pthread', '-o', program])
  if (status !== 0) throw new Error(stderr.slice(-3000))
  return program
}

function main() {
  if (run(compiler, ['--version']).status !== 0) {
    console.log(`skipped: no C++ compiler called ${compiler}; set CXX`)
    return 0
  }
  mkdirSync(join(root, 'build'), { recursive: true })
  const folder = mkdtempSync(join(root, 'build', 'sanitizers-'))
  try {
    let failed = 0
    for (const [name, flags] of Object.entries(SANITIZERS)) {
      const probe = join(folder, 'probe.cc')
      writeFileSync(probe, 'int main() { return 0; }\n')
      if (run(compiler, [...flags, probe, '-o', join(folder, 'probe')]).status !== 0) {
        console.log(`${name}: skipped, ${compiler} has no library for it`)
        continue
      }
      const program = compile(flags, folder)
      for (const isa of instructionSets) {
        const options = { TUNESMITH_ISA: isa, TSAN_OPTIONS: 'halt_on_error=1', UBSAN_OPTIONS: 'print_stacktrace=1' }
        const { status, stdout, stderr } = run(program, [], options)
        console.log(`${name}: ${stdout.trim() || 'no output'}`)
        if (status === 0) continue
        failed++
        console.log(stderr.slice(0, 4000))
      }
    }
    return failed > 0 ? 1 : 0
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

process.exitCode = main()
