#!/usr/bin/env node
/** `npm run bench -- NAME [--json] [--option=value ...]`: one bench, ours against the peer. Without a NAME: the list. */
import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { bootstrap, build } from '../packages/tooling/lib/bootstrap.mjs'
import { runMain, StepError } from '../packages/tooling/lib/step.mjs'
import { machine } from './lib/machine.mjs'
import { table } from './lib/table.mjs'

const folder = dirname(fileURLToPath(import.meta.url))

const benches = () =>
  readdirSync(folder)
    .filter((file) => /^[^.]+\.mjs$/.test(file) && file !== 'run.mjs')
    .map((file) => file.slice(0, -4))
    .sort()

/** The first sentence of a bench's opening comment says what it measures. */
function describe(name) {
  const comment = /\/\*\*([\s\S]*?)\*\//.exec(readFileSync(join(folder, `${name}.mjs`), 'utf8'))?.[1] ?? ''
  return comment
    .replace(/^\s*\* ?/gm, '')
    .trim()
    .split(/(?<=[.:])\s/)[0]
    .replace(/\s+/g, ' ')
}

/** `--rounds=5 --quick` becomes `{ rounds: 5, quick: true }`. */
function parseArguments(args) {
  const options = {}
  const names = []
  for (const arg of args) {
    const match = /^--([^=]+)(?:=(.*))?$/.exec(arg)
    if (!match) names.push(arg)
    else if (match[2] === undefined) options[camel(match[1])] = true
    else
      options[camel(match[1])] =
        match[2].trim() !== '' && Number.isFinite(Number(match[2])) ? Number(match[2]) : match[2]
  }
  return { names, options }
}

const camel = (text) => text.replace(/-(.)/g, (_, letter) => letter.toUpperCase())

runMain(async () => {
  const { names, options } = parseArguments(process.argv.slice(2))
  const known = benches()
  if (names.length === 0) {
    console.log('npm run bench -- NAME [--json]\n')
    for (const name of known) console.log(`  ${name.padEnd(20)} ${describe(name)}`)
    console.log(
      '\nPython peers are installed by pip into .tools/python/ when they are first needed; TUNESMITH_BENCH_PYTHON names an',
    )
    console.log('interpreter to use instead where it has the packages.')
    return 0
  }
  const { json = false, ...rest } = options
  const unknown = names.find((name) => !known.includes(name))
  if (unknown) throw new StepError(`there is no bench called "${unknown}". There are: ${known.join(', ')}.`)

  const env = await bootstrap()
  await build(env)
  const results = []
  for (const name of names) {
    const { run } = await import(pathToFileURL(join(folder, `${name}.mjs`)).href)
    const { rows } = await run(rest)
    results.push({ bench: name, machine: machine(), rows })
    console.log(`\n${name}: ${describe(name)}\n${table(rows)}\n`)
  }
  const { cpu, cores, memory, node, platform } = machine()
  console.log(`${cpu}, ${cores} cores, ${memory} GiB, Node ${node}, ${platform}. A ratio above 1 means ours is better.`)
  if (json) console.log(JSON.stringify(results.length === 1 ? results[0] : results))
  // A peer process that a bench forgot must not keep the command alive.
  process.exit(0)
})
