#!/usr/bin/env node
/**
 * Does each package work for someone who installs it alone? Packs every published package, installs each one with npm in
 * an empty folder (its Tunesmith dependencies as tarballs, the rest from npm or its cache), imports every entry
 * point under plain Node, and runs the first JavaScript example of its README. Expects a finished build.
 * With an argument, the counts go to that folder as `.vitest/extra-install.json`, where `npm test` adds them up.
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { availableParallelism, tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { cleanEnvironment } from '../lib/bootstrap.mjs'
import { firstExample } from '../lib/examples.mjs'
import { pack } from '../lib/pack.mjs'
import { command, tail } from '../lib/step.mjs'
import { runtimeClosure, workspacePackages } from '../lib/workspace.mjs'

const offline = /EAI_AGAIN|ENOTFOUND|ECONNREFUSED|ETIMEDOUT|ENOTCACHED|network/i
const env = cleanEnvironment({ npm_config_update_notifier: 'false' })

/** The line of a Node crash that says what happened, or else the end of the output. */
const cause = (output) => /^\S*Error.*$/m.exec(output)?.[0] ?? tail(output, 6)

/** Run `work` over `items`, a few at a time. */
async function pooled(items, size, work) {
  const queue = [...items]
  const results = []
  await Promise.all(
    Array.from({ length: size }, async () => {
      for (let item = queue.shift(); item !== undefined; item = queue.shift()) results.push(await work(item))
    }),
  )
  return results
}

async function packAll(packages, scratch) {
  const tarballs = new Map()
  await pooled(packages, availableParallelism(), async (entry) => {
    const folder = join(scratch, 'tarballs', entry.folder.replaceAll('/', '-'))
    mkdirSync(folder, { recursive: true })
    tarballs.set(entry.name, await pack(entry.path, folder, env))
  })
  return tarballs
}

const optionalPeers = ({ peerDependenciesMeta = {} }) =>
  Object.keys(peerDependenciesMeta).filter((peer) => peerDependenciesMeta[peer].optional)

/**
 * Import every entry point; fail when one has no exports. The main one must work with the package alone, a further one may
 * want an optional peer that is not installed here. A package's own types are checked by check-package.mjs.
 */
const importScript = (name, manifest) => `
const entries = ${JSON.stringify(Object.keys(manifest.exports).filter((key) => !key.endsWith('.json') && !key.includes('*')))}
const peers = ${JSON.stringify(optionalPeers(manifest))}
const wantsPeer = (error) =>
  error.code === 'ERR_MODULE_NOT_FOUND' && peers.some((peer) => error.message.includes("'" + peer + "'"))
for (const entry of entries) {
  const module = await import(${JSON.stringify(name)} + entry.slice(1)).catch((error) => {
    if (entry === '.' || !wantsPeer(error)) throw error
  })
  if (module && Object.keys(module).length === 0) throw new Error('the entry point ' + entry + ' exports nothing')
}
console.log(entries.length)`

async function install(entry, packages, tarballs, folder) {
  const own = runtimeClosure(entry.name, packages)
  const files = Object.fromEntries(own.map(({ name }) => [name, pathToFileURL(tarballs.get(name)).href]))
  writeFileSync(join(folder, 'package.json'), JSON.stringify({ private: true, type: 'module', dependencies: files }))
  const flags = [
    '--prefer-offline',
    '--no-audit',
    '--no-fund',
    '--ignore-scripts',
    '--no-package-lock',
    '--fetch-retries=1',
    '--fetch-retry-mintimeout=500',
  ]
  return command('npm', ['install', ...flags], { cwd: folder, env, quiet: true, timeout: 120_000 })
}

/** `{ name, state: 'passed' | 'failed' | 'skipped', detail }` of one package. */
async function tryPackage(entry, packages, tarballs, scratch) {
  const { name } = entry
  const folder = join(scratch, 'installed', entry.folder.replaceAll('/', '-'))
  mkdirSync(folder, { recursive: true })
  const installed = await install(entry, packages, tarballs, folder)
  if (installed.code !== 0) {
    const reason = tail(installed.output, 6)
    if (!offline.test(installed.output)) return { name, state: 'failed', detail: `npm install: ${reason}` }
    return { name, state: 'skipped', detail: 'npm can reach no registry and its cache lacks a dependency' }
  }
  writeFileSync(join(folder, 'import.mjs'), importScript(name, entry.manifest))
  const imported = await command(process.execPath, ['import.mjs'], { cwd: folder, env, quiet: true, timeout: 60_000 })
  if (imported.code !== 0) return { name, state: 'failed', detail: `import: ${cause(imported.output)}` }
  const example = firstExample(join(entry.path, 'README.md'))
  if (!example) return { name, state: 'passed', detail: 'imports' }
  writeFileSync(join(folder, 'example.mjs'), example)
  const ran = await command(process.execPath, ['example.mjs'], { cwd: folder, env, quiet: true, timeout: 60_000 })
  if (ran.code !== 0) return { name, state: 'failed', detail: `README example: ${cause(ran.output)}` }
  return { name, state: 'passed', detail: 'imports, and its README example runs' }
}

const packages = workspacePackages()
const published = packages.filter((entry) => !entry.manifest.private)
const scratch = mkdtempSync(join(tmpdir(), 'tunesmith-install-'))
try {
  const tarballs = await packAll(published, scratch)
  const results = await pooled(published, 2, (entry) => tryPackage(entry, packages, tarballs, scratch))
  const count = (state) => results.filter((result) => result.state === state).length
  for (const { name, state, detail } of results) console.error(`  ${name}: ${state} (${detail})`)
  const skippedReasons = results
    .filter(({ state }) => state === 'skipped')
    .map(({ name, detail }) => `${name}: ${detail}`)
  if (process.argv[2]) {
    const folder = join(process.argv[2], '.vitest')
    mkdirSync(folder, { recursive: true })
    const counts = { passed: count('passed'), failed: count('failed'), skipped: count('skipped'), skippedReasons }
    writeFileSync(join(folder, 'extra-install.json'), JSON.stringify(counts))
  }
  process.exitCode = count('failed') === 0 ? 0 : 1
} finally {
  rmSync(scratch, { recursive: true, force: true })
}
