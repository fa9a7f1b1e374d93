// The other measurement of event-loop.mjs: rows to token ids as the trainer makes them, with this thread's event loop watched.
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { setTimeout as sleep, setImmediate as turn } from 'node:timers/promises'
import { buildExamples, Tokenizer } from '@tunesmith/tokenization'

const [folder, count, threads] = process.argv.slice(2)
const tokenizer = await Tokenizer.fromPretrained(folder)

// Rows of about 300 tokens, none like another: a word of every row is its number.
const words = 'the patient was given a dose of medicine and felt better after some days of rest in hospital'.split(' ')
const rows = Array.from({ length: Number(count) }, (_, row) => ({
  prompt: `Question ${row}: ${words[row % words.length]}?`,
  completion: Array.from({ length: 280 }, (_, i) => words[(row * 7 + i * (1 + (row % 5))) % words.length]).join(' '),
}))

await turn()
const delay = monitorEventLoopDelay({ resolution: 5 })
delay.enable()
const start = performance.now()
// Without rows it is an idle loop that is watched, for some seconds.
const examples =
  rows.length > 0
    ? await buildExamples(tokenizer, rows, threads === undefined ? {} : { threads: Number(threads) })
    : await sleep(4000, [])
const seconds = (performance.now() - start) / 1000
await turn()
delay.disable()
const tokens = examples.reduce((sum, { inputIds }) => sum + inputIds.length, 0)
console.log(JSON.stringify({ pause: delay.max / 1e6, p99: delay.percentile(99) / 1e6, seconds, tokens }))
process.exit(0)
