// Makes the package that carries the compiled addon, for all GPU architectures, with nvcc: `node scripts/prebuilt.mjs
// [--out=npm]` (all options: packages/tooling/lib/prebuilt.mjs).
import { spawnSync } from 'node:child_process'
import { statSync } from 'node:fs'
import { dirname } from 'node:path'
import { fileURLToPath } from 'node:url'
import { prebuilt } from '@tunesmith/tooling/prebuilt'
import { buildCuda } from './build-cuda.mjs'

const LARGEST = 90e6
// Of the system the packages are built on (Ubuntu 22.04): what needs a newer one would run on fewer than is said.
const NEWEST_GLIBC = 35

const objdump = (flag, file) =>
  spawnSync('objdump', [flag, file], { encoding: 'utf8', maxBuffer: 1 << 26 }).stdout ?? ''

/** What would keep the addon from running elsewhere; the system's tools may be missing where nothing is published. */
function check(file, { publishing = false } = {}) {
  // The tests pack the emulated addon, which runs where it was compiled.
  if (file.includes('emulated')) return undefined
  const { size } = statSync(file)
  if (size > LARGEST) throw new Error(`${file} has ${(size / 1e6).toFixed(1)} MB, more than ${LARGEST / 1e6}`)
  const foreign = [...objdump('-p', file).matchAll(/NEEDED\s+(\S+)/g)]
    .map((match) => match[1])
    .filter((name) => !/^(libc|libm|libdl|librt|libpthread|ld-linux-x86-64)\.so/.test(name))
  if (foreign.length > 0) throw new Error(`${file} needs ${foreign.join(', ')}, which not every system has`)
  const symbols = objdump('-T', file)
  const glibc = Math.max(0, ...[...symbols.matchAll(/GLIBC_2\.(\d+)/g)].map((match) => Number(match[1])))
  if (publishing && glibc > NEWEST_GLIBC)
    throw new Error(`${file} needs glibc 2.${glibc}; build it where glibc is 2.${NEWEST_GLIBC} or older`)
  return `${(size / 1e6).toFixed(1)} MB${symbols ? `, glibc 2.${glibc} or newer` : ''}`
}

await prebuilt({
  root: dirname(dirname(fileURLToPath(import.meta.url))),
  platforms: ['linux-x64'],
  file: 'tunesmith_cuda.node',
  what: 'compiled CUDA addon',
  async compile() {
    const { file, problem } = await buildCuda()
    if (!file) throw new Error(problem)
    return file
  },
  check,
})
