#!/usr/bin/env node
/**
 * `pnpm notebook examples/NAME [options of the example]`: runs the script and writes it with its outputs to NAME.html in its
 * folder. Without options it runs the smoke mode. The outputs stay in `runs/NAME.notebook.jsonl`; `--render` makes the page from
 * them again, without a run.
 */
import { mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { dirname, join, relative } from 'node:path'
import { pathToFileURL } from 'node:url'
import { bootstrap, build } from '../lib/bootstrap.mjs'
import { exampleCommand, findExample } from '../lib/notebook/examples.mjs'
import { renderNotebook } from '../lib/notebook/render.mjs'
import { command, runMain } from '../lib/step.mjs'
import { root } from '../lib/workspace.mjs'

const OWN = ['--render', '--no-build']

runMain(async () => {
  const [name, ...given] = process.argv.slice(2).filter((option) => !OWN.includes(option))
  const example = findExample(name)
  const record = join(root, 'runs', `${example.name}.notebook.jsonl`)
  if (!process.argv.includes('--render')) {
    const env = await bootstrap()
    if (!process.argv.includes('--no-build')) await build(env)
    mkdirSync(dirname(record), { recursive: true })
    const recording = {
      ...env,
      TUNESMITH_NOTEBOOK: pathToFileURL(example.script).href,
      TUNESMITH_NOTEBOOK_RECORD: record,
    }
    const [file, args] = exampleCommand(example, given.length > 0 ? given : ['--smoke'])
    const { code } = await command(file, args, { cwd: root, env: recording, stdout: true })
    if (code !== 0) return code
  }
  const lines = readFileSync(record, 'utf8').split('\n').filter(Boolean)
  const page = renderNotebook({
    source: readFileSync(example.script, 'utf8'),
    outputs: lines.map((line) => JSON.parse(line)),
    command: `pnpm notebook examples/${example.name}${given.length > 0 ? ` ${given.join(' ')}` : ''}`,
    facts: [
      statSync(record).mtime.toISOString().slice(0, 10),
      `Node ${process.versions.node}, ${availableParallelism()} cores`,
    ],
  })
  writeFileSync(example.page, page)
  process.stderr.write(`tunesmith: written to ${relative(root, example.page)}\n`)
  return 0
})
