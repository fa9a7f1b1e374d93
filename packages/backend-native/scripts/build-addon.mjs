// Builds the native addon when its sources changed: `node scripts/build-addon.mjs [--strict] [--force]`.
//
// Without a compiler or Python it says what is missing and ends well, because everything else works without the addon;
// --strict makes that a failure. The addon appears in build/Release by a rename, so that a running program never sees
// half a file and two builds at once do no harm.
import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { createRequire } from 'node:module'
import { availableParallelism } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const release = join(root, 'build', 'Release')
const addon = join(release, 'tunesmith_native.node')
const stamp = join(release, 'tunesmith_native.hash')
const say = (text) => console.log(`[backend-native] ${text}`)

function sourceHash() {
  const hash = createHash('sha256').update(`${process.platform}-${process.arch}\n`)
  const files = readdirSync(join(root, 'native'), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && /\.(cc|h|gyp)$/.test(entry.name))
    .map((entry) => join(entry.parentPath ?? entry.path, entry.name))
    .sort()
  for (const file of files) hash.update(file.slice(root.length)).update('\0').update(readFileSync(file))
  return hash.digest('hex')
}

function runs(command) {
  return spawnSync(command, ['--version'], { stdio: 'ignore', shell: process.platform === 'win32' }).status === 0
}

function missingTools() {
  const missing = []
  if (process.platform === 'win32') return missing // node-gyp itself looks for Visual Studio
  const compilers = process.env.CXX ? [process.env.CXX] : ['c++', 'g++', 'clang++']
  if (!compilers.some((name) => runs(name.split(' ')[0]))) missing.push('a C++ compiler (g++ or clang++)')
  if (!runs('make')) missing.push('make')
  const pythons = [process.env.npm_config_python, process.env.PYTHON, 'python3', 'python'].filter(Boolean)
  if (!pythons.some(runs)) missing.push('Python 3 (node-gyp needs it to generate the makefile)')
  return missing
}

function build() {
  const missing = missingTools()
  if (missing.length > 0) return `missing: ${missing.join(', ')}`
  mkdirSync(release, { recursive: true })
  const folder = mkdtempSync(join(root, 'build', 'work-'))
  try {
    cpSync(join(root, 'native'), folder, { recursive: true })
    const gyp = createRequire(import.meta.url).resolve('node-gyp/bin/node-gyp.js')
    const prefix = dirname(dirname(process.execPath))
    // Headers that came with Node spare a download.
    const headers = existsSync(join(prefix, 'include', 'node', 'node_api.h')) ? [`--nodedir=${prefix}`] : []
    const jobs = String(Math.min(availableParallelism(), 8))
    const args = [gyp, 'rebuild', '--jobs', jobs, ...headers]
    const result = spawnSync(process.execPath, args, { cwd: folder, encoding: 'utf8', maxBuffer: 1 << 26 })
    if (result.status !== 0) {
      const log = `${result.stdout ?? ''}${result.stderr ?? ''}`.trimEnd().split('\n')
      return `node-gyp failed:\n${log.slice(-25).join('\n')}`
    }
    renameSync(join(folder, 'build', 'Release', 'tunesmith_native.node'), addon)
    return undefined
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

const hash = sourceHash()
if (
  !process.argv.includes('--force') &&
  existsSync(addon) &&
  existsSync(stamp) &&
  readFileSync(stamp, 'utf8') === hash
) {
  say('the addon is up to date')
} else {
  say('compiling the addon (about half a minute) ...')
  const start = performance.now()
  const problem = build()
  if (problem === undefined) {
    writeFileSync(stamp, hash)
    say(`built build/Release/tunesmith_native.node in ${((performance.now() - start) / 1000).toFixed(0)} s`)
  } else {
    console.warn(`[backend-native] the addon was not built; TensorFlow.js' own backends will be used. ${problem}`)
    if (process.argv.includes('--strict')) process.exitCode = 1
  }
}
