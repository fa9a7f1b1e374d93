#!/usr/bin/env node
/**
 * `pnpm notebook examples/NAME [options of the example]`: runs the script and writes it with its outputs to NAME.html beside
 * it. Without options it runs the smoke mode.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { availableParallelism, tmpdir } from 'node:os'
import { join, relative } from 'node:path'
import { pathToFileURL } from 'node:url'
import { bootstrap, build } from '../lib/bootstrap.mjs'
import { exampleCommand, findExample } from '../lib/notebook/examples.mjs'
import { renderNotebook } from '../lib/notebook/render.mjs'
import { command, runMain } from '../lib/step.mjs'
import { root } from '../lib/workspace.mjs'

runMain(async () => {
  const [name, ...given] = process.argv.slice(2).filter((option) => option !== '--no-build')
  const example = findExample(name)
  const options = given.length > 0 ? given : ['--smoke']
  const env = await bootstrap()
  if (!process.argv.includes('--no-build')) await build(env)
  const folder = mkdtempSync(join(tmpdir(), 'notebook-'))
  const record = join(folder, 'record.jsonl')
  try {
    const recording = {
      ...env,
      TUNESMITH_NOTEBOOK: pathToFileURL(example.script).href,
      TUNESMITH_NOTEBOOK_RECORD: record,
    }
    const [file, args] = exampleCommand(example, options)
    const { code } = await command(file, args, { cwd: root, env: recording, stdout: true })
    if (code !== 0) return code
    const lines = readFileSync(record, 'utf8').split('\n').filter(Boolean)
    const page = renderNotebook({
      source: readFileSync(example.script, 'utf8'),
      outputs: lines.map((line) => JSON.parse(line)),
      command: `pnpm notebook examples/${example.name}${given.length > 0 ? ` ${given.join(' ')}` : ''}`,
      facts: [new Date().toISOString().slice(0, 10), `Node ${process.versions.node}, ${availableParallelism()} cores`],
    })
    writeFileSync(example.page, page)
    process.stderr.write(`tunesmith: written to ${relative(root, example.page)}\n`)
    return 0
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
})
