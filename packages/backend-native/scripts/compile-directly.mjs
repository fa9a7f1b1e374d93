// The addon without node-gyp: compiler calls over the same sources with the same flags as native/binding.gyp. For machines
// that have a C++ compiler but no Python or make, or that cannot download Node's headers.
import { spawn } from 'node:child_process'
import { createRequire } from 'node:module'
import { availableParallelism } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const require = createRequire(import.meta.url)
const FLAGS = ['-std=c++17', '-ffp-contract=fast', '-pthread', '-w']
const ADDON = ['-O3', '-fPIC', '-fvisibility=hidden']
const DEFINES = ['-DNAPI_VERSION=8', '-DNAPI_DISABLE_CPP_EXCEPTIONS', '-DNODE_ADDON_API_DISABLE_DEPRECATED']
const COMMON = ['threads.cc', 'memory.cc', 'code_map.cc', 'dispatch.cc']
const BINDING = ['binding/runtime.cc', 'binding/linear.cc', 'binding/blocks.cc', 'binding/ops.cc']
const AVX512 = ['-mavx512f', '-mavx512bw', '-mavx512dq', '-mavx512vl', '-mfma', '-mf16c']
const KERNELS = {
  base: [],
  avx2: ['-mavx2', '-mfma', '-mf16c'],
  avx512: AVX512,
  avx512_bf16: [...AVX512, '-mavx512bf16'],
}

/** What backend-native and backend-cuda have in common. */
export const sharedHeaders = join(dirname(require.resolve('@tunesmith/backend/package.json')), 'native')

/** What the kernels of a processor are compiled for. */
export const instructionSets = (arch = process.arch) => (arch === 'x64' ? Object.keys(KERNELS) : ['base'])

/** Runs a compiler; rejects with its messages. */
function run(compiler, args) {
  return new Promise((resolve, reject) => {
    const child = spawn(compiler, args, { stdio: ['ignore', 'ignore', 'pipe'] })
    let messages = ''
    child.stderr.on('data', (data) => {
      messages += data
    })
    child.on('error', reject)
    child.on('close', (code) =>
      code === 0 ? resolve() : reject(new Error(messages.split('\n').slice(0, 25).join('\n'))),
    )
  })
}

/** Compiles the kernels and the other `files` of `sources` into objects in `folder`, and links them into `target`. */
async function compile(compiler, { sources, files, folder, target, flags, link, arch = process.arch }) {
  const units = [...COMMON, ...files].map((name) => ({ name, flags: [] }))
  for (const set of instructionSets(arch)) units.unshift({ name: `isa_${set}.cc`, flags: KERNELS[set] })
  const objects = units.map((_, i) => join(folder, `unit${i}.o`))
  const queue = units.map((unit, i) => ({ ...unit, object: objects[i] }))
  const worker = async () => {
    for (let unit = queue.shift(); unit; unit = queue.shift())
      await run(compiler, [...FLAGS, ...flags, ...unit.flags, '-c', join(sources, unit.name), '-o', unit.object])
  }
  await Promise.all(Array.from({ length: Math.min(availableParallelism(), 8) }, worker))
  await run(compiler, [...link, '-pthread', ...objects, '-o', target])
}

/**
 * Compiles `sources` (a copy of native/) into `target`, with a compiler for the processor `arch`.
 *
 * @returns nothing, or why it failed.
 */
export async function compileDirectly(compiler, sources, target, arch = process.arch) {
  const headers = [require('node-api-headers').include_dir, require('node-addon-api').include_dir, sharedHeaders]
  const includes = headers.map((folder) => `-I${folder.replace(/^"|"$/g, '')}`)
  const flags = [...ADDON, ...DEFINES, ...includes]
  // The C++ library goes in, so that an addon made on one Linux runs on another.
  const link =
    process.platform === 'darwin'
      ? ['-bundle', '-undefined', 'dynamic_lookup']
      : ['-shared', '-static-libstdc++', '-static-libgcc']
  try {
    await compile(compiler, { sources, files: BINDING, folder: sources, target, flags, link, arch })
    return undefined
  } catch (error) {
    return error.message
  }
}

/** Compiles the kernels' own tests with `flags` into a program in `folder`, and returns its path. */
export async function compileTests(compiler, flags, folder, arch = process.arch) {
  const target = join(folder, 'kernels_test')
  const sources = fileURLToPath(new URL('../native', import.meta.url))
  await compile(compiler, { sources, files: ['test/kernels_test.cc'], folder, target, flags, link: flags, arch })
  return target
}
