// Makes the package that carries the compiled addon for one platform: `node scripts/prebuilt.mjs [--arch=arm64] [--out=npm]`.
//
//   --arch=arm64   compiles for another processor with the cross compiler in CXX (aarch64-linux-gnu-g++), without node-gyp
//   --cuda         the CUDA addon instead, with nvcc, for all GPU architectures (Linux on x64)
//   --addon=FILE   does not compile: the package is made of this file
//   --out=FOLDER   where the packages go, one folder each; default npm/, which git ignores
//   --publish      instead of compiling: publishes what is there and makes this package depend on all of them
//   --dry-run      with --publish: says what it would do, and changes nothing
//
// The package is called @tunesmith/backend-native-PLATFORM-ARCH, holds the .node file and no JavaScript, and is an optional
// dependency of @tunesmith/backend-native: npm installs the one whose os, cpu and libc fit and leaves out the others. The
// dependency is only written down when they are published, because a clone has none of them and compiles its own.
//
// @tunesmith/backend-native-cuda-PLATFORM-ARCH is an optional peer dependency: npm cannot know that there is a GPU, and whoever
// has none should not download it. Who has one installs it by its name; npm then keeps the versions alike.
import { spawnSync } from 'node:child_process'
import {
  copyFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { buildCuda } from './build-cuda.mjs'
import { compileDirectly } from './compile-directly.mjs'

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const manifestFile = join(root, 'package.json')
const manifest = JSON.parse(readFileSync(manifestFile, 'utf8'))
const PLATFORMS = ['linux-x64', 'linux-arm64', 'darwin-arm64', 'win32-x64']
const CUDA_PLATFORMS = ['linux-x64']
const LARGEST = 90e6
// Of the system the packages are built on (Ubuntu 22.04): what needs a newer one would run on fewer than is said.
const NEWEST_GLIBC = 35

const say = (text) => console.log(`[prebuilt] ${text}`)

/** A package: its name, the folder it is made in, its file and what it is. */
function describe(target, cuda) {
  const folder = cuda ? `cuda-${target}` : target
  const what = cuda ? 'compiled CUDA addon' : 'compiled addon'
  const how = cuda ? 'Install it beside that package' : 'npm installs it by itself'
  const file = cuda ? 'tunesmith_cuda.node' : 'tunesmith_native.node'
  return { target, folder, file, name: `${manifest.name}-${folder}`, what, how, cuda }
}
const ALL = [
  ...PLATFORMS.map((target) => describe(target, false)),
  ...CUDA_PLATFORMS.map((target) => describe(target, true)),
]

/** The newest version of glibc whose symbols a file asks for, as the number after "2."; undefined without objdump. */
function neededGlibc(file) {
  const { status, stdout } = spawnSync('objdump', ['-T', file], { encoding: 'utf8', maxBuffer: 1 << 26 })
  if (status !== 0) return undefined
  return Math.max(0, ...[...stdout.matchAll(/GLIBC_2\.(\d+)/g)].map((match) => Number(match[1])))
}

/** What would keep the CUDA addon from running elsewhere. */
function checkCuda(file) {
  const { size } = statSync(file)
  if (size > LARGEST) throw new Error(`${file} has ${(size / 1e6).toFixed(1)} MB, more than ${LARGEST / 1e6}`)
  const glibc = neededGlibc(file)
  const { stdout = '' } = spawnSync('objdump', ['-p', file], { encoding: 'utf8' })
  const foreign = [...stdout.matchAll(/NEEDED\s+(\S+)/g)]
    .map((match) => match[1])
    .filter((name) => !/^(libc|libm|libdl|librt|libpthread|ld-linux-x86-64)\.so/.test(name))
  if (foreign.length > 0) throw new Error(`${file} needs ${foreign.join(', ')}, which not every system has`)
  return `${(size / 1e6).toFixed(1)} MB${glibc === undefined ? '' : `, glibc 2.${glibc} or newer`}`
}

/** Writes the package of a platform around its addon. */
function writePackage(entry, addon, out) {
  const [os, cpu] = entry.target.split('-')
  const folder = join(out, entry.folder)
  rmSync(folder, { recursive: true, force: true })
  mkdirSync(folder, { recursive: true })
  copyFileSync(addon, join(folder, entry.file))
  const { version, license, repository, engines } = manifest
  const about = `The ${entry.what} of ${manifest.name} for ${entry.target}.`
  const json = {
    name: entry.name,
    version,
    description: about,
    license,
    engines,
    repository,
    os: [os],
    cpu: [cpu],
    // Alpine and its kin have another C library: there the addon is compiled.
    ...(os === 'linux' && { libc: ['glibc'] }),
    main: entry.file,
    files: [entry.file],
    publishConfig: { access: 'public' },
  }
  writeFileSync(join(folder, 'package.json'), `${JSON.stringify(json, null, 2)}\n`)
  writeFileSync(join(folder, 'README.md'), `# ${entry.name}\n\n${about} ${entry.how}; there is nothing to import.\n`)
  return folder
}

/** This platform's addon as the package builds it for itself. */
function buildOwn() {
  const { status } = spawnSync(process.execPath, [join(root, 'scripts/build-addon.mjs'), '--strict'], {
    stdio: 'inherit',
  })
  if (status !== 0) throw new Error('the addon could not be compiled')
  return join(root, 'build', 'Release', 'tunesmith_native.node')
}

async function crossCompile(arch, folder) {
  cpSync(join(root, 'native'), folder, { recursive: true })
  const made = join(folder, 'tunesmith_native.node')
  const problem = await compileDirectly(process.env.CXX ?? 'aarch64-linux-gnu-g++', folder, made, arch)
  if (problem !== undefined) throw new Error(problem)
  return made
}

async function buildForGpus() {
  const { file, problem } = await buildCuda()
  if (!file) throw new Error(problem)
  return file
}

async function make({ arch, cuda, addon, out }) {
  const target = `${process.platform}-${arch}`
  const entry = ALL.find((each) => each.target === target && each.cuda === cuda)
  const possible = ALL.filter((each) => each.cuda === cuda).map((each) => each.target)
  if (!entry) throw new Error(`no package is made for ${target}, only for ${possible.join(', ')}`)
  const work = mkdtempSync(join(tmpdir(), 'tunesmith-prebuilt-'))
  try {
    const compile = cuda ? buildForGpus : arch === process.arch ? buildOwn : () => crossCompile(arch, work)
    const file = addon ?? (await compile())
    // The tests pack the emulated addon, which runs where it was compiled.
    const about = cuda && !file.includes('emulated') ? ` (${checkCuda(file)})` : ''
    say(`${entry.name}@${manifest.version} in ${writePackage(entry, file, out)}${about}`)
  } finally {
    rmSync(work, { recursive: true, force: true })
  }
}

function publish({ out, dryRun }) {
  const missing = ALL.filter(({ folder, file }) => !existsSync(join(out, folder, file)))
  if (missing.length > 0) throw new Error(`not there: ${missing.map(({ folder }) => join(out, folder)).join(', ')}`)
  for (const { folder, file, cuda } of ALL) {
    if (cuda) {
      const addon = join(out, folder, file)
      checkCuda(addon)
      const glibc = neededGlibc(addon)
      if (glibc > NEWEST_GLIBC)
        throw new Error(`${addon} needs glibc 2.${glibc}; build it where glibc is 2.${NEWEST_GLIBC} or older`)
    }
    const { name, version } = JSON.parse(readFileSync(join(out, folder, 'package.json'), 'utf8'))
    if (version !== manifest.version) throw new Error(`${name} is ${version}, the package is ${manifest.version}`)
    const npm = process.platform === 'win32' ? 'npm.cmd' : 'npm'
    const known = spawnSync(npm, ['view', `${name}@${version}`, 'version'], { encoding: 'utf8' })
    if (known.status === 0 && known.stdout.trim() === version) {
      say(`${name}@${version} is published already`)
      continue
    }
    say(`publishing ${name}@${version}`)
    if (dryRun) continue
    if (spawnSync(npm, ['publish'], { cwd: join(out, folder), stdio: 'inherit' }).status !== 0)
      throw new Error(`${name} could not be published`)
  }
  const versions = (cuda) =>
    Object.fromEntries(ALL.filter((each) => each.cuda === cuda).map(({ name }) => [name, manifest.version]))
  const optionalDependencies = versions(false)
  const peers = versions(true)
  const dependencies = {
    optionalDependencies,
    peerDependencies: { ...manifest.peerDependencies, ...peers },
    peerDependenciesMeta: {
      ...manifest.peerDependenciesMeta,
      ...Object.fromEntries(Object.keys(peers).map((name) => [name, { optional: true }])),
    },
  }
  if (!dryRun) writeFileSync(manifestFile, `${JSON.stringify({ ...manifest, ...dependencies }, null, 2)}\n`)
  say(`optional dependencies of ${manifest.name}: ${Object.keys(optionalDependencies).join(', ')}`)
  say(`optional peer dependencies: ${Object.keys(peers).join(', ')}`)
}

const { values } = parseArgs({
  options: {
    arch: { type: 'string', default: process.arch },
    cuda: { type: 'boolean', default: false },
    addon: { type: 'string' },
    out: { type: 'string', default: join(root, 'npm') },
    publish: { type: 'boolean', default: false },
    'dry-run': { type: 'boolean', default: false },
  },
})
const out = resolve(values.out)
if (values.publish) publish({ out, dryRun: values['dry-run'] })
else await make({ ...values, out })
