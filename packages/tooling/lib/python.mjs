/**
 * Scratch Python environments, for racing against Python libraries and for cross-loading tests. Nothing that ships, builds
 * or must pass depends on them: where pip cannot get a package, the caller gets the reason instead of an interpreter.
 */
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { delimiter, dirname, join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { command, tail } from './step.mjs'
import { root } from './workspace.mjs'

const windows = process.platform === 'win32'

/** The folders that pip is configured to look into: `find-links`, `file://` indexes, and an index's sibling `files`. */
async function localWheelFolders(python) {
  const { code, output } = await command(python, ['-m', 'pip', 'config', 'list'], { quiet: true })
  if (code !== 0) return []
  const folders = new Set()
  for (const line of output.split('\n')) {
    const setting = /^\S*?(find-links|extra-index-url|index-url)='(.*)'$/.exec(line.trim())
    if (!setting) continue
    for (const value of setting[2].split(/\s+|\\n/).filter(Boolean)) {
      const folder = value.startsWith('file://') ? fileURLToPath(value) : value
      if (!folder.startsWith('/') && !/^[A-Za-z]:\\/.test(folder)) continue
      for (const each of setting[1] === 'find-links' ? [folder] : [folder, join(dirname(folder), 'files')])
        if (existsSync(each) && readdirSync(each).some((name) => /\.(whl|tar\.gz)$/.test(name))) folders.add(each)
    }
  }
  return [...folders]
}

/** Which of `packages` (pip requirements) the interpreter lacks, by distribution name. */
async function missingPackages(python, packages) {
  const script = `
import sys, importlib.metadata as m
for r in sys.argv[1:]:
    try: m.version(r)
    except m.PackageNotFoundError: print(r)`
  const names = packages.map((each) => /^[A-Za-z0-9._-]+/.exec(each)[0])
  const { code, output } = await command(python, ['-c', script, ...names], { quiet: true })
  return code === 0 ? output.split('\n').filter(Boolean) : names
}

async function pipInstall(python, packages) {
  const pip = ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', '--no-input']
  const folders = await localWheelFolders(python)
  if (folders.length > 0) {
    const links = folders.flatMap((folder) => ['--find-links', folder])
    const local = await command(python, [...pip, '--no-index', ...links, ...packages], {
      quiet: true,
      timeout: 600_000,
    })
    if (local.code === 0) return local
  }
  return command(python, [...pip, '--retries', '1', '--timeout', '15', ...packages], { quiet: true, timeout: 900_000 })
}

/** Two test processes may ask for the same environment: the second waits for the first. Returns the unlocking function. */
async function lock(path) {
  mkdirSync(dirname(path), { recursive: true })
  for (;;) {
    try {
      writeFileSync(path, String(process.pid), { flag: 'wx' })
      return () => rmSync(path, { force: true })
    } catch (error) {
      if (error.code !== 'EEXIST') throw error
      const holder = Number(existsSync(path) && readFileSync(path, 'utf8'))
      if (holder && !isAlive(holder)) rmSync(path, { force: true })
      else await new Promise((resolve) => setTimeout(resolve, 200))
    }
  }
}

function isAlive(pid) {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}

/** Make the environment if need be and fill it; returns why that failed, or ''. */
async function fill(folder, python, packages) {
  process.stderr.write(`tunesmith: getting ${packages.join(', ')} with pip into ${relative(root, folder)}\n`)
  if (!existsSync(python)) {
    const base = windows ? 'python' : 'python3'
    const made = await command(base, ['-m', 'venv', folder], { quiet: true })
    if (made.code !== 0) {
      rmSync(folder, { recursive: true, force: true })
      return `${base} -m venv failed: ${tail(made.output, 3)}`
    }
  }
  const { code, output } = await pipInstall(python, packages)
  return code === 0 ? '' : `pip could not install ${packages.join(', ')}: ${tail(output, 3)}`
}

/**
 * A virtual environment `.tools/python/NAME` holding `packages` (pip requirements), made on the first call and reused
 * while the list stays the same. `TUNESMITH_PYTHON` (for benches also `TUNESMITH_BENCH_PYTHON`) names an interpreter to use
 * instead, when it has the packages.
 *
 * @returns {Promise<{ python: string | undefined, reason: string }>} the interpreter, or why there is none.
 */
export async function pythonVenv(name, packages) {
  for (const variable of ['TUNESMITH_PYTHON', 'TUNESMITH_BENCH_PYTHON']) {
    const given = process.env[variable]
    if (!given) continue
    const missing = await missingPackages(given, packages)
    if (missing.length === 0) return { python: given, reason: '' }
    process.stderr.write(`tunesmith: ${variable}=${given} lacks ${missing.join(', ')}; making a scratch environment\n`)
  }
  const folder = join(root, '.tools', 'python', name)
  const python = join(folder, windows ? 'Scripts/python.exe' : 'bin/python')
  const stampFile = join(folder, `ready-${createHash('sha256').update(packages.join('\n')).digest('hex').slice(0, 16)}`)
  if (existsSync(stampFile)) return { python, reason: '' }
  const unlock = await lock(`${folder}.lock`)
  try {
    const reason = existsSync(stampFile) ? '' : await fill(folder, python, packages)
    if (reason) return { python: undefined, reason }
    writeFileSync(stampFile, packages.join('\n'))
    return { python, reason: '' }
  } finally {
    unlock()
  }
}

/** The `python3` on the path, whatever it has; undefined when there is none. */
export function pythonOnPath() {
  const folders = (process.env.PATH ?? '').split(delimiter)
  const names = windows ? ['python.exe'] : ['python3', 'python']
  return folders.flatMap((folder) => names.map((name) => join(folder, name))).find((file) => existsSync(file))
}
