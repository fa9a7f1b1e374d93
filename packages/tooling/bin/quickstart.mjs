#!/usr/bin/env node
/** `npm run quickstart [-- --json]`: from a fresh clone to a first fine-tune. What is said here goes to stderr. */
import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { bootstrap, build } from '../lib/bootstrap.mjs'
import { runMain } from '../lib/step.mjs'
import { root } from '../lib/workspace.mjs'

runMain(async () => {
  const env = await bootstrap()
  await build(env)
  const cli = join(root, 'packages', 'cli', 'bin', 'tunesmith.mjs')
  const child = spawn(process.execPath, [cli, 'quickstart', ...process.argv.slice(2)], {
    cwd: root,
    env,
    stdio: 'inherit',
  })
  return new Promise((resolve) => child.on('close', (code) => resolve(code ?? 1)))
})
