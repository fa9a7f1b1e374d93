#!/usr/bin/env node
/**
 * `npm run fuzz -- [--mutants=200000] [--seed=1] [--first=0] [--only=parquet,yaml]`: damaged files of every kind, each of which must
 * load or end in a TunesmithError within 5 seconds and 1 GB. One mutant again: `--only=yaml --first=1234 --mutants=1`.
 */
import { parseArgs } from 'node:util'
import { bootstrap, build } from '../packages/tooling/lib/bootstrap.mjs'
import { runMain, StepError } from '../packages/tooling/lib/step.mjs'
import { shares } from './lib/shares.mjs'

runMain(async () => {
  const { values } = parseArgs({
    options: {
      mutants: { type: 'string', default: '200000' },
      seed: { type: 'string', default: '1' },
      first: { type: 'string', default: '0' },
      only: { type: 'string' },
      'no-build': { type: 'boolean', default: false },
    },
  })
  const names = values.only?.split(',') ?? Object.keys(shares)
  const unknown = names.find((name) => !(name in shares))
  if (unknown)
    throw new StepError(`there is no fuzz target "${unknown}". There are: ${Object.keys(shares).join(', ')}.`)
  if (!values['no-build']) await build(await bootstrap())
  const { fuzz } = await import('./lib/fuzz.mjs')
  const total = names.reduce((sum, name) => sum + shares[name], 0)
  let faults = 0
  for (const target of names) {
    const mutants = Math.max(1, Math.round((Number(values.mutants) * shares[target]) / total))
    const began = performance.now()
    const result = await fuzz({ target, mutants, seed: Number(values.seed), first: Number(values.first) })
    const seconds = ((performance.now() - began) / 1000).toFixed(1)
    console.log(
      `${target.padEnd(12)} ${result.loads} load, ${result.errors} errors, ${result.faults.length} faults; ${seconds} s, slowest ${result.slowest.toFixed(2)} s`,
    )
    for (const { index, what } of result.faults) console.log(`  ${target} ${index}: ${what}`)
    faults += result.faults.length
  }
  return faults === 0 ? 0 : 1
})
