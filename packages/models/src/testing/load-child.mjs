// Loads a model with the built package in a process of its own and prints what it took: FOLDER OPTIONS_JSON.
import { readFileSync } from 'node:fs'
import { selectBackend, weightBytes } from '@tunesmith/backend'
import { loadModel } from '@tunesmith/models'

/** A line of the kernel's account of this process, in bytes. */
const account = (key) =>
  Number(new RegExp(`${key}:\\s+(\\d+) kB`).exec(readFileSync('/proc/self/status', 'utf8'))[1]) * 1024

await selectBackend()
const before = account('VmRSS')
const model = await loadModel(process.argv[2], JSON.parse(process.argv[3]))
const peak = account('VmHWM') - before
const weights = new Set([model.embedTokens.weight, ...[...model.linears.values()].map(({ weight }) => weight)])
const loaded = [...weights].reduce((sum, weight) => sum + weightBytes(weight), 0)
console.log(JSON.stringify({ peak, loaded }))
