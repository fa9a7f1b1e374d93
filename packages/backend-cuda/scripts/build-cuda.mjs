// Compiles the CUDA addon: `npm run build:cuda`, with nvcc, for every architecture it supports.
//
//   --arch=sm_80   one architecture, to see quickly that everything compiles
//   --emulated     the same sources with g++ against the emulator in cuda/emulator, for tests without a GPU
//   --tests        the test program of the host side and of every kernel (cuda/test/main.cc) instead of the addon
//   --sanitize     with AddressSanitizer and UndefinedBehaviorSanitizer (the test program only)
//   --strict       a missing compiler or a failure is an error instead of a message
//
// What is up to date, by the hash of its sources and flags, is not compiled again; the addon and the test program share
// their objects.
import { spawn, spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { createRequire } from 'node:module'
import { availableParallelism } from 'node:os'
import { basename, dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const sources = join(root, 'cuda')
const require = createRequire(import.meta.url)
// What backend-native and backend-cuda have in common.
const sharedHeaders = join(dirname(require.resolve('@tunesmith/backend/package.json')), 'native')
// Real code for each, and PTX of the newest common one for what comes later. 90a has instructions of its own.
const ARCHITECTURES = ['sm_80', 'sm_86', 'sm_89', 'sm_90a', 'sm_100']
const WARNINGS = ['-Wall', '-Wextra', '-Werror']
// The C++ library comes along, hidden: the addon then asks the system for glibc alone.
const STANDALONE = ['-Xcompiler', '-static-libstdc++,-static-libgcc', '-Xlinker', '--exclude-libs,ALL']
const NODE_API = ['-DNAPI_VERSION=8', '-DNAPI_DISABLE_CPP_EXCEPTIONS', '-DNODE_ADDON_API_DISABLE_DEPRECATED']

const inFolder = (folder, pattern) =>
  readdirSync(join(sources, folder))
    .filter((name) => pattern.test(name))
    .sort()
    .map((name) => join(folder, name))

function say(line) {
  console.log(`[backend-cuda] ${line}`)
}

function run(command, args) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'] })
    let messages = ''
    for (const stream of [child.stdout, child.stderr])
      stream.on('data', (data) => {
        messages += data
      })
    child.on('error', reject)
    child.on('close', (code) => {
      if (code === 0) resolve(messages)
      else reject(new Error(messages.split('\n').slice(0, 40).join('\n') || `${command} ended with ${code}`))
    })
  })
}

/** nvcc: on the path, or where the toolkit is usually installed. */
export function findNvcc() {
  const homes = [process.env.CUDA_HOME, process.env.CUDA_PATH, '/usr/local/cuda'].filter(Boolean)
  const places = ['nvcc', ...homes.map((home) => join(home, 'bin', 'nvcc'))]
  for (const nvcc of places) {
    const { status, stdout } = spawnSync(nvcc, ['--version'], { encoding: 'utf8' })
    if (status === 0) return { nvcc, version: /release ([\d.]+)/.exec(stdout)?.[1] ?? '?' }
  }
  return undefined
}

function codeFlags(arch) {
  if (arch) return ['-gencode', `arch=compute_${arch.slice(3)},code=${arch}`]
  const real = ARCHITECTURES.flatMap((name) => ['-gencode', `arch=compute_${name.slice(3)},code=${name}`])
  return [...real, '-gencode', 'arch=compute_90,code=compute_90', '-Wno-deprecated-gpu-targets']
}

/** The functions of device/kernels.h: the test program fails when one of them has no test. */
export function launches() {
  const header = readFileSync(join(sources, 'device', 'kernels.h'), 'utf8')
  return [...header.matchAll(/^(?:void|bool) (\w+)\(/gm)].map((match) => match[1])
}

function plan({ emulated, tests, sanitize, arch }) {
  const napi = ['node-addon-api', 'node-api-headers'].map((name) => require(name).include_dir.replace(/^"|"$/g, ''))
  const headers = [...napi, sharedHeaders].map((folder) => `-I${folder}`)
  const checks = sanitize ? ['-fsanitize=address,undefined', '-fno-sanitize-recover=all', '-g1'] : []
  const cxx = process.env.CXX ?? 'g++'
  const gxx = ['-std=c++17', sanitize ? '-O1' : '-O2', '-fPIC', '-fvisibility=hidden', ...WARNINGS, ...checks]
  const names = `-DTUNESMITH_LAUNCHES="${launches().join(' ')}"`
  const units = []
  const unit = (files, compiler, flags) => units.push(...files.map((file) => ({ file, compiler, flags })))
  // `#pragma unroll` is nvcc's.
  const flags = emulated ? [...gxx, '-Wno-unknown-pragmas', '-DTUNESMITH_EMULATED_BUILD'] : gxx
  const device = inFolder('device', /\.cu$/)
  if (emulated) {
    unit(device, cxx, [...flags, '-x', 'c++'])
    unit(inFolder('emulator', /\.cc$/), cxx, flags)
  } else {
    unit([...device, ...inFolder('host', /\.cu$/)], findNvcc()?.nvcc, [
      ...['-std=c++17', '-O3', '--extended-lambda', ...codeFlags(arch), '-Werror', 'all-warnings'],
      // Registers and spills of each kernel: scripts/cuda-resources.mjs reads them.
      ...['-Xptxas', '-v', '-Xcompiler', '-fPIC,-fvisibility=hidden,-Wall,-Wextra'],
    ])
  }
  const host = inFolder('host', /\.cc$/).filter((file) => !emulated || !file.includes('cublaslt_library'))
  unit([...host, ...inFolder('ops', /\.cc$/)], cxx, flags)
  if (tests) unit(inFolder('test', /\.cc$/), cxx, [...flags, names])
  else unit(inFolder('binding', /\.cc$/), cxx, [...flags, ...NODE_API, ...headers])
  const what = [tests ? 'cuda_test' : 'tunesmith_cuda', emulated ? 'emulated' : arch, sanitize && 'sanitized']
  const name = what.filter(Boolean).join('_') + (tests ? '' : '.node')
  const shared = tests ? [] : ['-shared']
  const link = (objects, target) =>
    emulated
      ? [cxx, [...shared, ...checks, '-pthread', ...objects, '-ldl', '-o', target]]
      : [
          findNvcc().nvcc,
          [...shared, '-cudart', 'static', ...STANDALONE, ...codeFlags(arch), ...objects, '-ldl', '-o', target],
        ]
  return { units, link, target: join(root, 'build', 'Release', name) }
}

const hashed = (...parts) =>
  parts.reduce((hash, part) => hash.update(part).update('\0'), createHash('sha256')).digest('hex')

/** A hash of all headers: any of them may be included anywhere. */
function headersHash() {
  const files = readdirSync(sources).flatMap((folder) => inFolder(folder, /\.h$/))
  const paths = [...files.map((file) => join(sources, file)), join(sharedHeaders, 'call_fields.h')]
  return hashed(process.version, ...files, ...paths.map((path) => readFileSync(path)))
}

// Objects by the hash of all that goes into them; what no build has used for two weeks is deleted.
const objects = join(root, 'build', 'cuda-objects')
const KEPT = 14 * 24 * 3600 * 1000
function pruneObjects() {
  for (const name of readdirSync(objects)) {
    const file = join(objects, name)
    const { mtimeMs } = statSync(file, { throwIfNoEntry: false }) ?? {}
    if (mtimeMs < Date.now() - KEPT) rmSync(file, { force: true })
  }
}

/** Compiles one file unless its object is there; what the compiler printed lies beside the object. */
async function compile({ file, compiler, flags, object, unchanged }, scratch) {
  if (existsSync(object)) {
    utimesSync(object, new Date(), new Date())
    return
  }
  const made = join(scratch, basename(object))
  const messages = await run(compiler, [...flags, '-c', join(sources, file), '-o', made])
  if (!unchanged()) throw new Error(`${file} or a header changed while it was compiled; build again`)
  writeFileSync(`${made}.txt`, messages)
  renameSync(`${made}.txt`, `${object}.txt`)
  renameSync(made, object)
}

/**
 * Builds what the options say.
 *
 * @returns the file, or why there is none.
 */
export async function buildCuda(options = {}) {
  if (process.platform !== 'linux') return { problem: 'the CUDA backend is built on Linux' }
  const toolkit = options.emulated ? undefined : findNvcc()
  if (!options.emulated && !toolkit)
    return { problem: 'skipped: there is no nvcc (CUDA toolkit 12 or 13) on the path or in CUDA_HOME' }
  if (spawnSync(process.env.CXX ?? 'g++', ['--version']).status !== 0)
    return { problem: 'skipped: there is no C++ compiler (g++)' }
  const { units, link, target } = plan(options)
  const headers = headersHash()
  const objectOf = ({ file, compiler, flags }) => {
    const content = readFileSync(join(sources, file))
    const hash = hashed(headers, toolkit?.version ?? '', compiler, ...flags, content).slice(0, 24)
    return join(objects, `${file.replace(/\W/g, '_')}-${hash}.o`)
  }
  for (const entry of units) {
    entry.object = objectOf(entry)
    // A file that is edited while it is compiled must not stay under the name of what it was.
    entry.unchanged = () => objectOf(entry) === entry.object && headersHash() === headers
  }
  const stamp = `${target}.hash`
  const hash = hashed(target, ...units.map((entry) => entry.object))
  const logs = units.map((entry) => `${entry.object}.txt`)
  if (existsSync(target) && existsSync(stamp) && readFileSync(stamp, 'utf8') === hash)
    return { file: target, upToDate: true, logs }
  for (const folder of [dirname(target), objects]) mkdirSync(folder, { recursive: true })
  const folder = mkdtempSync(join(root, 'build', 'cuda-'))
  const start = performance.now()
  try {
    const queue = [...units]
    const worker = async () => {
      for (let next = queue.shift(); next; next = queue.shift()) await compile(next, folder)
    }
    await Promise.all(Array.from({ length: Math.min(availableParallelism(), 8) }, worker))
    const made = join(folder, basename(target))
    const [linker, args] = link(
      units.map((entry) => entry.object),
      made,
    )
    await run(linker, args)
    renameSync(made, target)
    writeFileSync(stamp, hash)
    pruneObjects()
    return { file: target, seconds: (performance.now() - start) / 1000, toolkit: toolkit?.version, logs }
  } catch (error) {
    return { problem: error.message, failed: true }
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const has = (name) => process.argv.includes(`--${name}`)
  const arch = process.argv.find((argument) => argument.startsWith('--arch='))?.slice(7)
  const options = { emulated: has('emulated'), tests: has('tests'), sanitize: has('sanitize'), arch }
  const { file, problem, failed, upToDate, seconds, toolkit } = await buildCuda(options)
  if (problem) {
    say(problem)
    if (failed || has('strict')) process.exitCode = 1
  } else
    say(
      upToDate
        ? `${basename(file)} is up to date`
        : `built build/Release/${basename(file)} in ${seconds.toFixed(0)} s${toolkit ? ` with CUDA ${toolkit}` : ''}`,
    )
}
