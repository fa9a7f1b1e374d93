// Makes the package that carries the compiled addon for one platform: `node scripts/prebuilt.mjs [--arch=arm64] [--out=npm]`
// (all options: packages/tooling/lib/prebuilt.mjs). Another processor takes the cross compiler in CXX, without node-gyp.
import { spawnSync } from 'node:child_process'
import { cpSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { prebuilt } from '@tunesmith/tooling/prebuilt'
import { compileDirectly } from './compile-directly.mjs'

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const file = 'tunesmith_native.node'

/** This platform's addon as the package builds it for itself. */
function buildOwn() {
  const { status } = spawnSync(process.execPath, [join(root, 'scripts/build-addon.mjs'), '--strict'], {
    stdio: 'inherit',
  })
  if (status !== 0) throw new Error('the addon could not be compiled')
  return join(root, 'build', 'Release', file)
}

async function crossCompile(arch, folder) {
  cpSync(join(root, 'native'), folder, { recursive: true })
  const made = join(folder, file)
  const problem = await compileDirectly(process.env.CXX ?? 'aarch64-linux-gnu-g++', folder, made, arch)
  if (problem !== undefined) throw new Error(problem)
  return made
}

await prebuilt({
  root,
  platforms: ['linux-x64', 'linux-arm64', 'darwin-arm64', 'win32-x64'],
  file,
  what: 'compiled addon',
  compile: ({ arch, folder }) => (arch === process.arch ? buildOwn() : crossCompile(arch, folder)),
})
