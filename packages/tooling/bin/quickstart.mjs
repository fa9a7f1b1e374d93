#!/usr/bin/env node
/** `npm run quickstart [-- --json]`: from a fresh clone to a first fine-tune. What is said here goes to stderr. */
import { join } from 'node:path'
import { bootstrap, build } from '../lib/bootstrap.mjs'
import { command, runMain } from '../lib/step.mjs'
import { root } from '../lib/workspace.mjs'

runMain(async () => {
  const env = await bootstrap()
  await build(env)
  const cli = join(root, 'packages', 'cli', 'bin', 'tunesmith.mjs')
  const args = [cli, 'quickstart', ...process.argv.slice(2)]
  return (await command(process.execPath, args, { cwd: root, env, stdin: true, stdout: true })).code
})
