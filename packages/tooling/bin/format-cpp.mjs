#!/usr/bin/env node
/**
 * Formats the C++ and CUDA sources with clang-format, as `.clang-format` says; with `--check` it lists what is not
 * formatted and fails. The npm package `clang-format-node` brings the binary; its version is pinned, because two
 * versions seldom agree. Where it has no binary for the platform, it says that nothing was checked.
 */
import { readdirSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { command, runMain } from '../lib/step.mjs'
import { root } from '../lib/workspace.mjs'

const FOLDERS = ['bench/lib', 'packages/backend/native', 'packages/backend-cuda/cuda', 'packages/backend-native/native']

runMain(async () => {
  const files = FOLDERS.flatMap((folder) =>
    readdirSync(join(root, folder), { recursive: true })
      .filter((name) => /\.(cc|cu|h)$/.test(name))
      .map((name) => join(folder, name)),
  )
  const { clangFormatPath } = createRequire(import.meta.url)('clang-format-node')
  const run = (...args) => command(clangFormatPath, args, { cwd: root, quiet: true })
  const version = await run('--version')
  if (version.code !== 0) {
    console.log(`C++: skipped: clang-format does not run on ${process.platform}-${process.arch}`)
    return 0
  }
  const check = process.argv.includes('--check')
  const { code, output } = await run(...(check ? ['--dry-run', '-Werror'] : ['-i']), ...files)
  const wrong = new Set([...output.matchAll(/^(\S+?):\d+:\d+: error:/gm)].map((match) => match[1]))
  for (const file of wrong) console.error(`${file} is not formatted; run \`npm run format\``)
  if (code !== 0 && wrong.size === 0) console.error(output)
  return code
})
