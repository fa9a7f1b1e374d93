// The addon without node-gyp: compiler calls over the same sources with the same flags as native/binding.gyp. For machines
// that have a C++ compiler but no Python or make, or that cannot download Node's headers.
import { spawn } from 'node:child_process'
import { createRequire } from 'node:module'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'

const require = createRequire(import.meta.url)
const FLAGS = ['-std=c++17', '-O3', '-fPIC', '-ffp-contract=fast', '-fvisibility=hidden', '-pthread', '-w']
const DEFINES = ['-DNAPI_VERSION=8', '-DNAPI_DISABLE_CPP_EXCEPTIONS', '-DNODE_ADDON_API_DISABLE_DEPRECATED']
const COMMON = ['threads.cc', 'memory.cc', 'code_map.cc', 'dispatch.cc']
const BINDING = ['binding/runtime.cc', 'binding/linear.cc', 'binding/blocks.cc', 'binding/ops.cc']
const KERNELS = {
  base: [],
  avx2: ['-mavx2', '-mfma', '-mf16c'],
  avx512: ['-mavx512f', '-mavx512bw', '-mavx512dq', '-mavx512vl', '-mfma', '-mf16c'],
}

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

/**
 * Compiles `sources` (a copy of native/) into `target`, with a compiler for the processor `arch`.
 *
 * @returns nothing, or why it failed.
 */
export async function compileDirectly(compiler, sources, target, arch = process.arch) {
  const headers = [require('node-api-headers').include_dir, require('node-addon-api').include_dir]
  const includes = headers.map((folder) => `-I${folder.replace(/^"|"$/g, '')}`)
  const sets = arch === 'x64' ? Object.keys(KERNELS) : ['base']
  const units = [...COMMON, ...BINDING].map((name) => ({ name, flags: [] }))
  for (const set of sets) units.unshift({ name: `isa_${set}.cc`, flags: KERNELS[set] })
  const objects = units.map((_, i) => join(sources, `unit${i}.o`))
  try {
    const queue = units.map((unit, i) => ({ ...unit, object: objects[i] }))
    const worker = async () => {
      for (let unit = queue.shift(); unit; unit = queue.shift())
        await run(compiler, [
          ...FLAGS,
          ...DEFINES,
          ...includes,
          ...unit.flags,
          '-c',
          join(sources, unit.name),
          '-o',
          unit.object,
        ])
    }
    await Promise.all(Array.from({ length: Math.min(availableParallelism(), 8) }, worker))
    // The C++ library goes in, so that an addon made on one Linux runs on another.
    const link =
      process.platform === 'darwin'
        ? ['-bundle', '-undefined', 'dynamic_lookup']
        : ['-shared', '-static-libstdc++', '-static-libgcc']
    await run(compiler, [...link, '-pthread', ...objects, '-o', target])
    return undefined
  } catch (error) {
    return error.message
  }
}
