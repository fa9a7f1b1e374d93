/**
 * One archive of what `npm run bench:cuda` needs on a machine that can download nothing, to be unpacked over a checkout of the
 * same commit: Node (.kit/node), the built packages, their dependencies, vitest, the goldens, the addon and the test program.
 */
import { spawnSync } from 'node:child_process'
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  realpathSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join, relative, resolve } from 'node:path'
import { buildCuda } from '../../packages/backend-cuda/scripts/build-cuda.mjs'
import { sharedPath } from '../../packages/tooling/lib/shared.mjs'
import { readJson, root, runtimeClosure } from '../../packages/tooling/lib/workspace.mjs'

// Of a dependency nothing runs from these.
const LEFT_OUT = ['*.map', '*.d.ts', '*.d.mts', '*.d.cts', '*_test.js', '*.md', '*.min.js', '*.es2017.js', '*.fesm.js']

// Peers that vite would like and nothing here uses.
const UNUSED = new Set([
  'esbuild',
  'tsx',
  'typescript',
  'node-gyp',
  '@tensorflow/tfjs-node',
  '@tensorflow/tfjs-backend-wasm',
])

// What the steps of bench:cuda compare with: tiny models and their LoRA runs.
const GOLDENS = /^(tiny-.*|lora)$/

// Under .kit, where bench:cuda takes them from: the addon, and the test program.
const COMPILED = { 'tunesmith_cuda.node': false, cuda_test: true }

const manifestOf = (folder) => readJson(join(folder, 'package.json'))

/** Where a package finds another, as Node looks for it; undefined when it is not installed. */
function find(from, name) {
  for (let folder = from; folder.startsWith(root); folder = dirname(folder)) {
    const place = join(folder, 'node_modules', name)
    if (existsSync(place)) return place
  }
  return undefined
}

/** Folders and links that `folder` needs to run, with those of its dependencies, into `files`. */
function collect(folder, names, files) {
  for (const name of names) {
    const link = UNUSED.has(name) ? undefined : find(folder, name)
    if (!link || files.has(link)) continue
    files.add(link)
    const real = realpathSync(link)
    // A package of the workspace comes with the checkout.
    if (!real.includes('node_modules') || (real !== link && files.has(real))) continue
    files.add(real)
    const { dependencies, optionalDependencies, peerDependencies } = manifestOf(real)
    collect(real, Object.keys({ ...dependencies, ...optionalDependencies, ...peerDependencies }), files)
  }
}

/** Names of the packages the benches import whose dist is missing or older than what it was made of. */
export function staleBuilds() {
  const newest = (folder) =>
    readdirSync(folder, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile() && !entry.name.includes('.test.'))
      .reduce(
        (latest, entry) => Math.max(latest, statSync(join(entry.parentPath ?? entry.path, entry.name)).mtimeMs),
        0,
      )
  return runtimeClosure('@tunesmith/bench')
    .filter(({ manifest }) => manifest.exports?.['.']?.default?.includes('dist'))
    .filter(({ path }) => {
      const built = statSync(join(path, 'dist/index.js'), { throwIfNoEntry: false })
      return !built || built.mtimeMs < newest(join(path, 'src'))
    })
    .map(({ name }) => name)
}

/**
 * Writes the archive.
 *
 * @param file its name, `*.tar.xz`
 * @param arch the GPU's architecture, default `sm_90a`; without nvcc the archive has no addon and no test program
 * @returns its size in bytes
 */
export async function packKit({ file, arch = 'sm_90a' }) {
  const files = new Set()
  const stale = staleBuilds()
  if (stale.length > 0) throw new Error(`not built, or older than their sources: ${stale.join(', ')}; npm run build`)
  const packages = runtimeClosure('@tunesmith/bench')
  for (const { path, manifest } of packages) {
    const names = Object.keys({ ...manifest.dependencies, ...manifest.devDependencies }).filter(
      (each) => each in (manifest.dependencies ?? {}) || each.startsWith('@tunesmith/'),
    )
    collect(path, names, files)
    const dist = join(path, 'dist')
    if (existsSync(dist)) files.add(dist)
  }
  for (const folder of [root, join(root, 'packages/tooling'), ...packages.map(({ path }) => path)])
    collect(folder, ['vitest'], files)
  const native = join(root, 'packages/backend-native/build/Release/tunesmith_native.node')
  if (existsSync(native)) files.add(native)
  const goldens = sharedPath('goldens')
  const work = mkdtempSync(join(tmpdir(), 'tunesmith-kit-'))
  try {
    mkdirSync(join(work, '.kit'))
    copyFileSync(process.execPath, join(work, '.kit/node'))
    for (const [name, tests] of Object.entries(COMPILED)) {
      const { file: made, problem } = await buildCuda({ arch, tests })
      if (made) copyFileSync(made, join(work, '.kit', name))
      else console.log(`without ${name}: ${problem}`)
    }
    const list = join(work, 'list')
    writeFileSync(list, [...files].map((each) => relative(root, each)).join('\n'))
    const excluded = LEFT_OUT.map((pattern) => `--exclude=${pattern}`)
    const tar = join(work, 'kit.tar')
    const run = (program, args) => {
      const { status, stderr } = spawnSync(program, args, { encoding: 'utf8', maxBuffer: 1 << 26 })
      if (status !== 0) throw new Error(`${program} ${args.slice(0, 3).join(' ')}: ${stderr.slice(0, 2000)}`)
    }
    run('tar', ['-cf', tar, ...excluded, '-C', root, '-T', list])
    run('tar', ['-rf', tar, '-C', work, '.kit'])
    if (goldens) {
      const folders = readdirSync(goldens).filter((name) => GOLDENS.test(name))
      run('tar', ['-rf', tar, '--transform=s,^,.kit/shared/goldens/,', '-C', realpathSync(goldens), ...folders])
    }
    run('xz', ['-T0', '-5', tar])
    mkdirSync(dirname(resolve(file)), { recursive: true })
    copyFileSync(`${tar}.xz`, file)
  } finally {
    rmSync(work, { recursive: true, force: true })
  }
  return statSync(file).size
}
