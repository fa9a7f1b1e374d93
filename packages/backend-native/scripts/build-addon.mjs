// Builds the native addon when its sources changed: `node scripts/build-addon.mjs [--strict] [--force]`.
//
// node-gyp does it; where that cannot work (no Python, no make, no headers) the compiler is called directly. Without a
// compiler it says what is missing and ends well, because everything else works without the addon;
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
import { dirname, join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { compileDirectly, sharedHeaders } from './compile-directly.mjs'

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const release = join(root, 'build', 'Release')
const addon = join(release, 'tunesmith_native.node')
const stamp = join(release, 'tunesmith_native.hash')
const say = (text) => console.log(`[backend-native] ${text}`)

function sourceHash() {
  const hash = createHash('sha256').update(`${process.platform}-${process.arch}\n`)
  const files = [join(root, 'native'), sharedHeaders]
    .flatMap((folder) => readdirSync(folder, { recursive: true, withFileTypes: true }))
    .filter((entry) => entry.isFile() && /\.(cc|h|gyp)$/.test(entry.name) && !entry.name.endsWith('_test.cc'))
    .map((entry) => join(entry.parentPath ?? entry.path, entry.name))
    .sort()
  for (const file of files) hash.update(relative(root, file)).update('\0').update(readFileSync(file))
  return hash.digest('hex')
}

function runs(command) {
  return spawnSync(command, ['--version'], { stdio: 'ignore', shell: process.platform === 'win32' }).status === 0
}

/** The compiler on a Unix machine; Visual Studio is found by node-gyp itself. */
function findCompiler() {
  const names = process.env.CXX ? [process.env.CXX] : ['c++', 'g++', 'clang++']
  return names.find((name) => runs(name.split(' ')[0]))
}

/** What node-gyp needs besides a compiler. */
function missingTools() {
  if (process.platform === 'win32') return []
  const missing = []
  if (!runs('make')) missing.push('make')
  const pythons = [process.env.npm_config_python, process.env.PYTHON, 'python3', 'python'].filter(Boolean)
  if (!pythons.some(runs)) missing.push('Python 3')
  return missing
}

function runNodeGyp(folder) {
  const gyp = createRequire(import.meta.url).resolve('node-gyp/bin/node-gyp.js')
  const prefix = dirname(dirname(process.execPath))
  // Headers that came with Node spare a download.
  const headers = existsSync(join(prefix, 'include', 'node', 'node_api.h')) ? [`--nodedir=${prefix}`] : []
  const jobs = String(Math.min(availableParallelism(), 8))
  const args = [gyp, 'rebuild', '--jobs', jobs, ...headers]
  const result = spawnSync(process.execPath, args, { cwd: folder, encoding: 'utf8', maxBuffer: 1 << 26 })
  if (result.status === 0) return undefined
  const log = `${result.stdout ?? ''}${result.stderr ?? ''}`.trimEnd().split('\n')
  return `node-gyp failed:\n${log.slice(-25).join('\n')}`
}

async function build() {
  const compiler = findCompiler()
  if (!compiler && process.platform !== 'win32') return 'missing: a C++ compiler (g++ or clang++)'
  mkdirSync(release, { recursive: true })
  const folder = mkdtempSync(join(root, 'build', 'work-'))
  try {
    cpSync(join(root, 'native'), folder, { recursive: true })
    const made = join(folder, 'build', 'Release', 'tunesmith_native.node')
    const missing = missingTools()
    let problem = missing.length > 0 ? `node-gyp needs ${missing.join(' and ')}` : runNodeGyp(folder)
    if (problem !== undefined && compiler) {
      say(`${problem.split('\n')[0]}; calling the compiler directly`)
      mkdirSync(dirname(made), { recursive: true })
      problem = await compileDirectly(compiler, folder, made)
    }
    if (problem === undefined) renameSync(made, addon)
    return problem
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

// As npm's install script (`--installed`) it has nothing to do in the repository, where the build comes later, or where a
// prebuilt addon for this platform was installed beside it.
function installedElsewhere() {
  if (!process.argv.includes('--installed')) return false
  const prebuilt = `@tunesmith/backend-native-${process.platform}-${process.arch}`
  if (existsSync(join(root, '..', '..', 'pnpm-workspace.yaml'))) return true
  try {
    createRequire(import.meta.url).resolve(prebuilt)
    return true
  } catch {
    return false
  }
}

const hash = sourceHash()
if (installedElsewhere()) {
  // Nothing to do.
} else if (
  !process.argv.includes('--force') &&
  existsSync(addon) &&
  existsSync(stamp) &&
  readFileSync(stamp, 'utf8') === hash
) {
  say('the addon is up to date')
} else {
  say('compiling the addon (about half a minute) ...')
  const start = performance.now()
  const problem = await build()
  if (problem === undefined) {
    writeFileSync(stamp, hash)
    say(`built build/Release/tunesmith_native.node in ${((performance.now() - start) / 1000).toFixed(0)} s`)
  } else {
    console.warn(`[backend-native] the addon was not built; TensorFlow.js' own backends will be used. ${problem}`)
    if (process.argv.includes('--strict')) process.exitCode = 1
  }
}
