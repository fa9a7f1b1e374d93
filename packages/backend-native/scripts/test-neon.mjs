// Runs the native kernel tests as arm64 code (NEON): `npm run test:neon`. Needs a cross compiler (CXX, by default
// aarch64-linux-gnu-g++) and, on another processor, QEMU's user emulation; without them it says so and ends well.
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { compileTests } from './compile-directly.mjs'

const native = process.arch === 'arm64'
const compiler = process.env.CXX ?? (native ? 'g++' : 'aarch64-linux-gnu-g++')
const run = (command, args) => spawnSync(command, args, { encoding: 'utf8' })

const missing = (native ? [compiler] : [compiler, 'qemu-aarch64']).find((tool) => run(tool, ['--version']).status !== 0)
if (missing) console.log(`skipped: there is no ${missing}`)
else {
  const folder = mkdtempSync(join(tmpdir(), 'tunesmith-neon-'))
  try {
    const program = await compileTests(compiler, ['-O3', '-static'], folder, 'arm64')
    const { status, stdout, stderr } = native ? run(program, []) : run('qemu-aarch64', [program])
    console.log(`arm64: ${stdout.trim() || stderr.trim()}`)
    process.exitCode = status === 0 ? 0 : 1
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}
