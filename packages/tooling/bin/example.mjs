#!/usr/bin/env node
/** `npm run example -- NAME [--smoke | --data DIR] [...]`: an example app from a fresh clone on; NAME alone is the full run. */
import { bootstrap, build } from '../lib/bootstrap.mjs'
import { exampleCommand, findExample } from '../lib/notebook/examples.mjs'
import { command, runMain } from '../lib/step.mjs'
import { root } from '../lib/workspace.mjs'

runMain(async () => {
  const [name, ...options] = process.argv.slice(2)
  const example = findExample(name)
  const env = await bootstrap()
  await build(env)
  const [file, args] = exampleCommand(example, options)
  return (await command(file, args, { cwd: root, env, stdout: true })).code
})
