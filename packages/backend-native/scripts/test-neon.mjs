// Runs the native kernel tests as arm64 code (NEON): `npm run test:neon`. Needs a cross compiler (CXX, by default
// aarch64-linux-gnu-g++) and, on another processor, QEMU's user emulation; without them it says so and ends well.
import { spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const native = process.arch === 'arm64'
const compiler = process.env.CXX ?? (native ? 'g++' : 'aarch64-linux-gnu-g++')
const SOURCES = ['threads.cc', 'memory.cc', 'code_map.cc', 'dispatch.cc', 'isa_base.cc', 'test/kernels_test.cc']
const FLAGS = ['-std=c++17', '-O3', '-ffp-contract=fast', '-w', '-pthread', '-static']

const run = (command, args) => spawnSync(command, args, { encoding: 'utf8', maxBuffer: 1 << 26 })

function main() {
  for (const tool of native ? [compiler] : [compiler, 'qemu-aarch64'])
    if (run(tool, ['--version']).status !== 0) {
      console.log(`skipped: there is no ${tool}`)
      return 0
    }
  mkdirSync(join(root, 'build'), { recursive: true })
  const folder = mkdtempSync(join(root, 'build', 'neon-'))
  try {
    const program = join(folder, 'kernels_test')
    const compiled = run(compiler, [...FLAGS, ...SOURCES.map((name) => join(root, 'native', name)), '-o', program])
    if (compiled.status !== 0) {
      console.log(compiled.stderr.slice(-3000))
      return 1
    }
    const { status, stdout, stderr } = native ? run(program, []) : run('qemu-aarch64', [program])
    console.log(`arm64: ${stdout.trim() || stderr.trim()}`)
    return status === 0 ? 0 : 1
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

process.exitCode = main()
