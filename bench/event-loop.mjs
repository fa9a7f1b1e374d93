/**
 * Longest pause of the event loop during LoRA training steps: training in a worker thread against training in the thread that waits.
 * A quarter of TinyLlama-1.1B's layers with random weights, micro-batches of 256 tokens; in its own thread the trainer gives the event
 * loop a turn after each, so that a micro-batch is the longest pause.
 */
import { fileURLToPath } from 'node:url'
import { row, runChild } from './lib/index.mjs'
import { median } from './lib/measure.mjs'

const child = fileURLToPath(new URL('event-loop.ours.mjs', import.meta.url))

export async function run({ rounds = 3, steps = 3 } = {}) {
  const seen = { worker: [], main: [] }
  for (let round = 0; round < rounds; round++)
    for (const mode of Object.keys(seen)) {
      const { stdout } = await runChild(process.execPath, [child, mode, String(steps)])
      seen[mode].push(JSON.parse(stdout.trim().split('\n').at(-1)))
    }
  const middle = (mode, key) => median(seen[mode].map((one) => one[key]))
  const compare = (name, key, unit) =>
    row({ case: name, ours: middle('worker', key), peer: middle('main', key), unit, lowerIsBetter: true })
  return {
    rows: [
      compare('longest pause, in a worker thread / in this one', 'pause', 'ms'),
      compare('time of a step, in a worker thread / in this one', 'step', 'ms'),
    ],
  }
}
