/**
 * The process that decodes Parquet: `node parquet-process.js MEGABYTES`. Each message `{ job, milliseconds }` is answered by
 * `{ result }` or `{ error }`, one after the other. A thread beside the decoder watches computing time and memory, since the decoder
 * itself looks up only between two jobs, and says on the stream with descriptor 3 why it ends the process.
 */
import { Worker } from 'node:worker_threads'
import work from './parquet-work.mjs'

const megabytes = Number(process.argv[2])
/** Milliseconds of computing of this process at which it has been too much; 0 between two jobs. */
const deadline = new Float64Array(new SharedArrayBuffer(8))

// A text: a bundler would write another `require` into a function.
const watch = `
  const { writeSync } = require('node:fs')
  const { deadline, megabytes } = require('node:worker_threads').workerData
  setInterval(() => {
    const { user, system } = process.cpuUsage()
    const late = deadline[0] > 0 && (user + system) / 1000 > deadline[0]
    if (!late && process.memoryUsage.rss() < megabytes * 2 ** 20) return
    writeSync(3, late ? 'time' : 'memory')
    process.kill(process.pid, 'SIGKILL')
  }, 100)
`
new Worker(watch, { eval: true, workerData: { deadline, megabytes } }).unref()

let last = Promise.resolve()
process.on('message', (/** @type {{ job: import('./parquet-work.mjs').Request, milliseconds: number }} */ message) => {
  last = last.then(async () => {
    const { user, system } = process.cpuUsage()
    deadline[0] = (user + system) / 1000 + message.milliseconds
    const answer = await work(message.job).then(
      (result) => ({ result }),
      (error) => ({ error: { ...error, message: String(error?.message ?? error), stack: error?.stack } }),
    )
    deadline[0] = 0
    await new Promise((sent) => process.send?.(answer, sent))
  })
})
process.on('disconnect', () => process.exit())
