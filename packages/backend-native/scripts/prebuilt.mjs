// Makes the package that carries the compiled addon for one platform: `node scripts/prebuilt.mjs [--arch=arm64] [--out=npm]`.
//
//   --arch=arm64   compiles for another processor with the cross compiler in CXX (aarch64-linux-gnu-g++), without node-gyp
//   --out=FOLDER   where the packages go, one folder each; default npm/, which git ignores
//   --publish      instead of compiling: publishes what is there and makes this package depend on all of them
//   --dry-run      with --publish: says what it would do, and changes nothing
//
// The package is called @tunesmith/backend-native-PLATFORM-ARCH, holds the .node file and no JavaScript, and is an optional
// dependency of @tunesmith/backend-native: npm installs the one whose os, cpu and libc fit and leaves out the others. The
// dependency is only written down when they are published, because a clone has none of them and compiles its own.
import { spawnSync } from 'node:child_process'
import { copyFileSync, cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { compileDirectly } from './compile-directly.mjs'

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const manifestFile = join(root, 'package.json')
const manifest = JSON.parse(readFileSync(manifestFile, 'utf8'))
const ADDON = 'tunesmith_native.node'
const PLATFORMS = ['linux-x64', 'linux-arm64', 'darwin-arm64', 'win32-x64']

const nameOf = (target) => `${manifest.name}-${target}`
const say = (text) => console.log(`[prebuilt] ${text}`)

/** Writes the package of a platform around its addon. */
function writePackage(target, addon, out) {
  const [os, cpu] = target.split('-')
  const folder = join(out, target)
  rmSync(folder, { recursive: true, force: true })
  mkdirSync(folder, { recursive: true })
  copyFileSync(addon, join(folder, ADDON))
  const { version, license, repository, engines } = manifest
  const about = `The compiled addon of ${manifest.name} for ${target}.`
  const json = {
    name: nameOf(target),
    version,
    description: about,
    license,
    engines,
    repository,
    os: [os],
    cpu: [cpu],
    // Alpine and its kin have another C library: there the addon is compiled.
    ...(os === 'linux' && { libc: ['glibc'] }),
    main: ADDON,
    files: [ADDON],
    publishConfig: { access: 'public' },
  }
  writeFileSync(join(folder, 'package.json'), `${JSON.stringify(json, null, 2)}\n`)
  writeFileSync(
    join(folder, 'README.md'),
    `# ${nameOf(target)}\n\n${about} npm installs it by itself; there is nothing to import.\n`,
  )
  return folder
}

/** This platform's addon as the package builds it for itself. */
function buildOwn() {
  const { status } = spawnSync(process.execPath, [join(root, 'scripts/build-addon.mjs'), '--strict'], {
    stdio: 'inherit',
  })
  if (status !== 0) throw new Error('the addon could not be compiled')
  return join(root, 'build', 'Release', ADDON)
}

async function crossCompile(arch, folder) {
  cpSync(join(root, 'native'), folder, { recursive: true })
  const made = join(folder, ADDON)
  const problem = await compileDirectly(process.env.CXX ?? 'aarch64-linux-gnu-g++', folder, made, arch)
  if (problem !== undefined) throw new Error(problem)
  return made
}

async function make({ arch, out }) {
  const target = `${process.platform}-${arch}`
  if (!PLATFORMS.includes(target)) throw new Error(`no package is made for ${target}, only for ${PLATFORMS.join(', ')}`)
  const work = mkdtempSync(join(tmpdir(), 'tunesmith-prebuilt-'))
  try {
    const addon = arch === process.arch ? buildOwn() : await crossCompile(arch, work)
    say(`${nameOf(target)}@${manifest.version} in ${writePackage(target, addon, out)}`)
  } finally {
    rmSync(work, { recursive: true, force: true })
  }
}

function publish({ out, dryRun }) {
  const missing = PLATFORMS.filter((target) => !existsSync(join(out, target, ADDON)))
  if (missing.length > 0) throw new Error(`not there: ${missing.map((target) => join(out, target)).join(', ')}`)
  for (const target of PLATFORMS) {
    const { name, version } = JSON.parse(readFileSync(join(out, target, 'package.json'), 'utf8'))
    if (version !== manifest.version) throw new Error(`${name} is ${version}, the package is ${manifest.version}`)
    const npm = process.platform === 'win32' ? 'npm.cmd' : 'npm'
    const known = spawnSync(npm, ['view', `${name}@${version}`, 'version'], { encoding: 'utf8' })
    if (known.status === 0 && known.stdout.trim() === version) {
      say(`${name}@${version} is published already`)
      continue
    }
    say(`publishing ${name}@${version}`)
    if (dryRun) continue
    if (spawnSync(npm, ['publish'], { cwd: join(out, target), stdio: 'inherit' }).status !== 0)
      throw new Error(`${name} could not be published`)
  }
  const optionalDependencies = Object.fromEntries(PLATFORMS.map((target) => [nameOf(target), manifest.version]))
  if (!dryRun) writeFileSync(manifestFile, `${JSON.stringify({ ...manifest, optionalDependencies }, null, 2)}\n`)
  say(`optional dependencies of ${manifest.name}: ${Object.keys(optionalDependencies).join(', ')}`)
}

const { values } = parseArgs({
  options: {
    arch: { type: 'string', default: process.arch },
    out: { type: 'string', default: join(root, 'npm') },
    publish: { type: 'boolean', default: false },
    'dry-run': { type: 'boolean', default: false },
  },
})
const out = resolve(values.out)
if (values.publish) publish({ out, dryRun: values['dry-run'] })
else await make({ arch: values.arch, out })
