/**
 * The packages that carry a compiled addon, one per platform: what the `scripts/prebuilt.mjs` of a backend does.
 *
 *   --arch=arm64   compiles for another processor
 *   --addon=FILE   does not compile: the package is made of this file
 *   --out=FOLDER   where the packages go, one folder each; default npm/, which git ignores
 *   --publish      instead of compiling: publishes what is there and makes the backend's package depend on all of them
 *   --dry-run      with --publish: says what it would do, and changes nothing
 *
 * Each is called NAME-PLATFORM-ARCH after the backend's package, holds the .node file and no JavaScript, and is an
 * optional dependency of it: npm installs the one whose os, cpu and libc fit and leaves out the others. The dependency is
 * only written down when they are published, because a clone has none of them and compiles its own.
 */
import { spawnSync } from 'node:child_process'
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { readJson } from './workspace.mjs'

const say = (text) => console.log(`[prebuilt] ${text}`)

/** Writes the package of a platform around its addon. */
function writePackage({ manifest, file, what }, target, addon, out) {
  const [os, cpu] = target.split('-')
  const folder = join(out, target)
  rmSync(folder, { recursive: true, force: true })
  mkdirSync(folder, { recursive: true })
  copyFileSync(addon, join(folder, file))
  const { version, license, repository, engines } = manifest
  const name = `${manifest.name}-${target}`
  const about = `The ${what} of ${manifest.name} for ${target}.`
  const json = {
    name,
    version,
    description: about,
    license,
    engines,
    repository,
    os: [os],
    cpu: [cpu],
    // Alpine and its kin have another C library: there the addon is compiled.
    ...(os === 'linux' && { libc: ['glibc'] }),
    main: file,
    files: [file],
    publishConfig: { access: 'public' },
  }
  writeFileSync(join(folder, 'package.json'), `${JSON.stringify(json, null, 2)}\n`)
  writeFileSync(
    join(folder, 'README.md'),
    `# ${name}\n\n${about} npm installs it by itself; there is nothing to import.\n`,
  )
  return folder
}

async function make(backend, { arch, addon, out }) {
  const { manifest, platforms, compile, check } = backend
  const target = `${process.platform}-${arch}`
  if (!platforms.includes(target)) throw new Error(`no package is made for ${target}, only for ${platforms.join(', ')}`)
  const work = mkdtempSync(join(tmpdir(), 'tunesmith-prebuilt-'))
  try {
    const file = addon ?? (await compile({ arch, folder: work }))
    const about = check?.(file)
    const folder = writePackage(backend, target, file, out)
    say(`${manifest.name}-${target}@${manifest.version} in ${folder}${about ? ` (${about})` : ''}`)
  } finally {
    rmSync(work, { recursive: true, force: true })
  }
}

function publish({ root, manifest, platforms, file, check }, { out, dryRun }) {
  const missing = platforms.filter((target) => !existsSync(join(out, target, file)))
  if (missing.length > 0) throw new Error(`not there: ${missing.map((target) => join(out, target)).join(', ')}`)
  const optionalDependencies = {}
  for (const target of platforms) {
    check?.(join(out, target, file), { publishing: true })
    const { name, version } = readJson(join(out, target, 'package.json'))
    if (version !== manifest.version) throw new Error(`${name} is ${version}, the package is ${manifest.version}`)
    optionalDependencies[name] = version
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
  if (!dryRun)
    writeFileSync(join(root, 'package.json'), `${JSON.stringify({ ...manifest, optionalDependencies }, null, 2)}\n`)
  say(`optional dependencies of ${manifest.name}: ${Object.keys(optionalDependencies).join(', ')}`)
}

/**
 * Does what the command line asks for.
 *
 * @param backend `root` of its package; the `platforms` there are packages for; `file`, the addon's name; `what` the addon
 *   is, for descriptions; `compile({ arch, folder })` gives the compiled file, with a scratch folder; `check(file, { publishing })`, which may be
 *   left out, throws when the file would not run elsewhere and may return what to say about it.
 */
export async function prebuilt(backend) {
  const { values } = parseArgs({
    options: {
      arch: { type: 'string', default: process.arch },
      addon: { type: 'string' },
      out: { type: 'string', default: join(backend.root, 'npm') },
      publish: { type: 'boolean', default: false },
      'dry-run': { type: 'boolean', default: false },
    },
  })
  const complete = { ...backend, manifest: readJson(join(backend.root, 'package.json')) }
  const out = resolve(values.out)
  if (values.publish) publish(complete, { out, dryRun: values['dry-run'] })
  else await make(complete, { ...values, out })
}
