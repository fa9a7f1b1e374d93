/**
 * Longest pause of the event loop during LoRA training steps and tokenizing: work in worker threads against work in the thread that waits.
 * A quarter of TinyLlama-1.1B's layers with random weights, micro-batches of 256 tokens; in its own thread the trainer gives the event
 * loop a turn after each, so that a micro-batch is the longest pause. Tokenizing: 50,000 rows of 300 tokens (`--tokenizer=FOLDER`).
 * `--only=tokenize` leaves the training out. What other programs do on the machine adds to the pauses: the row of the idle loop shows it.
 */
import { sharedPath } from '../packages/tooling/lib/shared.mjs'
import { row, runChild } from './lib/index.mjs'
import { median } from './lib/measure.mjs'

const TOKENIZER = 'tokenizers/tinyllama-1.1b-chat'

/** Medians of what a child script prints, run with each mode's arguments in turn. */
async function medians(script, modes, rounds) {
  const seen = Object.fromEntries(Object.keys(modes).map((mode) => [mode, []]))
  for (let round = 0; round < rounds; round++)
    for (const [mode, args] of Object.entries(modes)) {
      const { stdout } = await runChild(process.execPath, [new URL(script, import.meta.url), ...args.map(String)])
      seen[mode].push(JSON.parse(stdout.trim().split('\n').at(-1)))
    }
  return (mode, key) => median(seen[mode].map((one) => one[key]))
}

async function training(rounds, steps) {
  const middle = await medians('event-loop.ours.mjs', { worker: ['worker', steps], main: ['main', steps] }, rounds)
  const compare = (name, key) =>
    row({ case: name, ours: middle('worker', key), peer: middle('main', key), unit: 'ms', lowerIsBetter: true })
  return [
    compare('longest pause, in a worker thread / in this one', 'pause'),
    compare('time of a step, in a worker thread / in this one', 'step'),
  ]
}

async function tokenizing(rounds, folder, count) {
  const modes = { threads: [folder, count], here: [folder, count, 0], idle: [folder, 0] }
  const middle = await medians('event-loop.tokenize.mjs', modes, rounds)
  const compare = (name, key, unit) =>
    row({ case: name, ours: middle('threads', key), peer: middle('here', key), unit, lowerIsBetter: true })
  return [
    compare('longest pause, tokenizing with threads / in this one', 'pause', 'ms'),
    compare('time to tokenize, with threads / in this one', 'seconds', 's'),
    row({ case: 'longest pause of an idle loop', ours: middle('idle', 'pause'), unit: 'ms', lowerIsBetter: true }),
  ]
}

export async function run({ rounds = 3, steps = 3, rows = 50_000, tokenizer, only } = {}) {
  const folder = tokenizer ?? sharedPath(TOKENIZER)
  return {
    rows: [
      ...(only === 'tokenize' ? [] : await training(rounds, steps)),
      ...(only === 'training' ? [] : await tokenizing(rounds, folder, rows)),
    ],
  }
}
