/**
 * From a fresh clone to a built workspace with nothing but Node and npm on the machine. Every part is skipped when it
 * is current, so that a second run needs neither the network nor more than a second or two.
 */
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { delimiter, dirname, join } from 'node:path'
import { command, StepError, step } from './step.mjs'
import { readJson, root, workspacePackages } from './workspace.mjs'

const windows = process.platform === 'win32'

/** Where scratch tools live; git-ignored. */
export const toolsFolder = join(root, '.tools')

function checkNode() {
  const wanted = Number(/\d+/.exec(readJson(join(root, 'package.json')).engines.node)[0])
  if (Number(process.versions.node.split('.')[0]) < wanted)
    throw new StepError(
      `Node ${process.versions.node} is too old: Tunesmith needs Node ${wanted} or newer. Install it from https://nodejs.org and run this command again.`,
    )
}

/** The first C++ compiler that answers, `{ name, version }`, in the order in which node-gyp looks; else undefined. */
export async function findCompiler() {
  for (const name of process.env.CXX ? [process.env.CXX] : windows ? ['cl'] : ['c++', 'g++', 'clang++']) {
    const { code, output } = await command(name, ['--version'], { quiet: true })
    if (code === 0) return { name, version: output.split('\n')[0] }
  }
  return undefined
}

/** The pinned pnpm: `.tools/pnpm-VERSION`, put there with npm the first time. Returns the folder to put on PATH. */
async function ensurePnpm() {
  const version = readJson(join(root, 'package.json')).packageManager.split('@')[1].split('+')[0]
  const folder = join(toolsFolder, `pnpm-${version}`)
  const bin = join(folder, 'node_modules', '.bin')
  if (existsSync(join(folder, 'node_modules', 'pnpm', 'bin', 'pnpm.cjs'))) return { bin }
  const present = await command('pnpm', ['--version'], { quiet: true, cwd: dirname(root) })
  if (present.code === 0 && present.output.trim() === version) return { bin: '' }
  await step(`fetching pnpm ${version} into .tools/`, async () => {
    mkdirSync(folder, { recursive: true })
    writeFileSync(join(folder, 'package.json'), '{ "private": true }\n')
    const flags = ['--no-audit', '--no-fund', '--ignore-scripts', '--prefer-offline', '--fetch-retry-mintimeout=1000']
    const npm = windows ? ['cmd', ['/c', 'npm']] : ['npm', []]
    const { code, output } = await command(npm[0], [...npm[1], 'install', `pnpm@${version}`, ...flags], {
      cwd: folder,
      env: cleanEnvironment(),
      quiet: true,
    })
    if (code !== 0)
      throw new StepError(
        `pnpm ${version} could not be fetched from the npm registry. Connect to the network, or point npm at a registry you can reach (npm config set registry URL), or put pnpm ${version} on the PATH; then run this command again. After this first time no network is needed.`,
        output,
      )
  })
  return { bin }
}

/** npm hands its settings to the scripts it runs as npm_* variables; a nested npm or pnpm must not take them for its own. */
export function cleanEnvironment(extra = {}) {
  const kept = Object.entries(process.env).filter(
    ([key]) => !/^npm_/i.test(key) || /^npm_config_(registry|cache|.*proxy|cafile)$/i.test(key),
  )
  return { ...Object.fromEntries(kept), ...extra }
}

/** A digest of everything that decides what node_modules must hold. */
function dependencyStamp() {
  const hash = createHash('sha256').update(`${process.platform} ${process.arch}`)
  const own = ['package.json', 'pnpm-lock.yaml', 'pnpm-workspace.yaml', '.npmrc'].map((name) => join(root, name))
  const manifests = workspacePackages().map(({ path }) => join(path, 'package.json'))
  for (const file of [...own, ...manifests]) hash.update(file).update(readFileSync(file))
  return hash.digest('hex')
}

async function installDependencies(env) {
  const stampFile = join(root, 'node_modules', '.tunesmith-stamp')
  const stamp = dependencyStamp()
  if (existsSync(stampFile) && readFileSync(stampFile, 'utf8') === stamp) return
  await step('installing dependencies (the first time takes a minute)', async () => {
    const flags = [
      '--frozen-lockfile',
      '--prefer-offline',
      '--config.confirmModulesPurge=false',
      '--fetch-retry-mintimeout=1000',
    ]
    const { code, output } = await command(windows ? 'pnpm.cmd' : 'pnpm', ['install', ...flags], {
      cwd: root,
      env,
      quiet: true,
    })
    if (code === 0) return writeFileSync(stampFile, stamp)
    const remedy = output.includes('OUTDATED_LOCKFILE')
      ? 'pnpm-lock.yaml does not match the package.json files. Run `pnpm install` (without pnpm: `npx pnpm@10 install`) and commit the lockfile.'
      : 'the dependencies could not be installed. If the npm registry cannot be reached, connect to the network or set a registry you can reach (npm config set registry URL), then run this command again. After this first time no network is needed.'
    throw new StepError(remedy, output)
  })
}

/**
 * Check Node, get pnpm, install the dependencies. Returns the environment in which the workspace's tools run:
 * pnpm and node_modules/.bin on PATH, and what a cached build or test depends on beside the files of the repository.
 */
export async function bootstrap() {
  checkNode()
  const { bin } = await ensurePnpm()
  const compiler = await findCompiler()
  const path = [bin, join(root, 'node_modules', '.bin'), process.env.PATH].filter(Boolean).join(delimiter)
  const env = cleanEnvironment({
    PATH: path,
    TURBO_TELEMETRY_DISABLED: '1',
    TURBO_NO_UPDATE_NOTIFIER: '1',
    DO_NOT_TRACK: '1',
    TUNESMITH_TOOLCHAIN: `node ${process.versions.modules} ${process.platform} ${process.arch} ${compiler?.version ?? 'no compiler'}`,
  })
  await installDependencies(env)
  if (!compiler)
    process.stderr.write(
      'tunesmith: no C++ compiler found, so the native backend is left out and training runs on TensorFlow.js’ own backends, many times slower. ' +
        'To get it, install one (Debian/Ubuntu: apt install g++, macOS: xcode-select --install) and run this command again.\n',
    )
  return env
}

/** Turbo with a concurrency that leaves a two-core machine usable: each task is itself parallel. */
export function turbo(tasks, { env, args = [], quiet = false, stdout = false }) {
  const concurrency = Math.max(2, Math.ceil(availableParallelism() / 2))
  const flags = [`--concurrency=${concurrency}`, '--ui=stream', '--no-update-notifier', ...args]
  return command(join(root, 'node_modules', '.bin', windows ? 'turbo.cmd' : 'turbo'), ['run', ...tasks, ...flags], {
    cwd: root,
    env,
    quiet,
    stdout,
  })
}

/** Build every package (cached). What a build says it left out (`notice: ...`, `... not built ...`) is shown, also from the cache. */
export async function build(env, filter = []) {
  const notices = new Set()
  await step('building the packages', async () => {
    const { code, output } = await turbo(['build'], { env, quiet: true, args: ['--output-logs=full', ...filter] })
    if (code !== 0) throw new StepError('the build failed; its output is above.', output)
    for (const [, notice] of output.matchAll(/^(?:\S+:build: )?(.*(?:notice: |was not built).*)$/gm))
      notices.add(notice)
    const cached = /Cached:\s+(\d+) cached, (\d+) total/.exec(output)
    return cached ? `${cached[2]} packages, ${cached[1]} from the cache` : 'done'
  })
  for (const notice of notices) process.stderr.write(`tunesmith: ${notice}\n`)
}
