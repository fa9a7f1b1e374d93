// What of the CUDA backend can be tested without a GPU and outside of vitest: `npm run test:cuda`.
//
// The host logic, every launch and every operation on the emulator under AddressSanitizer and UndefinedBehaviorSanitizer, and,
// where nvcc is there, that the addon and the test program for a GPU compile without a warning for one architecture, and that
// no kernel spills registers; the addon is then packed, installed into an empty folder and opened there. What a machine lacks
// is said and passed over.
import { spawnSync } from 'node:child_process'
import { cpSync, existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { buildCuda } from './build-cuda.mjs'
import { spills } from './cuda-resources.mjs'

const ARCH = 'sm_80'
const failures = []

function report({ problem, failed, upToDate, seconds }, what) {
  if (failed) failures.push(what)
  console.log(`${what}: ${problem ?? (upToDate ? 'up to date' : `built in ${seconds.toFixed(0)} s`)}`)
}

// Asks for the device of a package that lies in node_modules and nothing else: without one it must say what is missing.
const PROGRAM = `
  const addon = require('@tunesmith/backend-cuda-linux-x64')
  try {
    console.log('opened ' + addon.open(0, 0).name)
  } catch ({ code, message, remedy }) {
    console.log(code + ': ' + message + '. ' + remedy)
  }`

/** What comes of the addon where there is no compiler and no toolkit, as a line. */
function installed(addon) {
  const home = mkdtempSync(join(tmpdir(), 'tunesmith-cuda-installed-'))
  try {
    const script = fileURLToPath(new URL('prebuilt.mjs', import.meta.url))
    const node = (args, options) => spawnSync(process.execPath, args, { encoding: 'utf8', ...options })
    const packed = node([script, `--addon=${addon}`, `--out=${home}`])
    if (packed.status !== 0) return packed.stderr
    const from = join(home, 'linux-x64')
    cpSync(from, join(home, 'node_modules/@tunesmith/backend-cuda-linux-x64'), { recursive: true })
    const { status, signal, stdout, stderr } = node(['-e', PROGRAM], {
      cwd: home,
      env: { PATH: '/nowhere', HOME: home },
    })
    return status === 0 ? stdout.trim() : `ended with ${signal ?? status}: ${stderr}`
  } finally {
    rmSync(home, { recursive: true, force: true })
  }
}

/** Folders of headers: of CUDA toolkits and of Python's `nvidia-*` packages in the environments on the path. */
function headerFolders() {
  const toolkits = [process.env.CUDA_HOME, process.env.CUDA_PATH, '/usr/local/cuda'].filter(Boolean)
  const program = 'import sysconfig; print(sysconfig.get_paths()["purelib"])'
  const environments = (process.env.PATH ?? '').split(':').flatMap((folder) => {
    const python = join(folder, 'python3')
    if (!existsSync(python)) return []
    const nvidia = join(spawnSync(python, ['-c', program], { encoding: 'utf8' }).stdout.trim(), 'nvidia')
    return existsSync(nvidia) ? readdirSync(nvidia).map((name) => join(nvidia, name)) : []
  })
  return [...new Set([...environments, ...toolkits])].map((place) => join(place, 'include')).filter(existsSync)
}

/** What cublaslt_abi.h says about <cublasLt.h>, compared with each header that is there. */
function checkCublasLt() {
  const what = 'cublaslt_abi.h beside <cublasLt.h>'
  const folders = headerFolders()
  const found = folders.filter((folder) => existsSync(join(folder, 'cublasLt.h')))
  if (found.length === 0) return console.log(`${what}: skipped: there is no such header`)
  const source = join(dirname(fileURLToPath(import.meta.url)), '../cuda/test/abi/cublaslt.cc')
  for (const folder of found) {
    const others = folders.filter((other) => other !== folder)
    const flags = ['-std=c++17', '-fsyntax-only', '-Wall', '-Wextra', '-Werror']
    const system = [folder, ...others].flatMap((include) => ['-isystem', include])
    const { status, stderr } = spawnSync(process.env.CXX ?? 'g++', [...flags, ...system, source], { encoding: 'utf8' })
    console.log(`${what} in ${folder}: ${status === 0 ? 'the same' : `\n${stderr.slice(0, 2000)}`}`)
    if (status !== 0) failures.push('cublaslt_abi.h')
  }
}

checkCublasLt()
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
  if (spilled.length > 0) failures.push('kernels in local memory')
  for (const line of spilled) console.log(`  local memory: ${line}`)
}
if (addon.file && process.arch === 'x64') {
  const said = installed(addon.file)
  console.log(`installed without a compiler: ${said}`)
  if (!/^(opened |backend: )/.test(said)) failures.push('the installed addon')
}
// Shares the addon's kernels: only the tests themselves are compiled.
report(await buildCuda({ arch: ARCH, tests: true }), `the test program for ${ARCH}`)
if (failures.length > 0) console.log(`FAILED: ${failures.join(', ')}`)
process.exitCode = failures.length > 0 ? 1 : 0
