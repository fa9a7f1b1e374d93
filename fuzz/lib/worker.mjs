/**
 * Loads damaged files in a process of its own, so that a crash, a hang or a flood of memory ends nothing else:
 * `worker.mjs TARGET SEED START END FOLDER`. Writes `{ i }` before each file and `{ i, ... }` after it.
 */
import { mkdir, writeFile } from 'node:fs/promises'
import { isTunesmithError, Random } from '@tunesmith/core'
import { pick } from './mutate.mjs'
import { targets } from './targets.mjs'

const [name, seed, start, end, folder] = process.argv.slice(2)
const send = (message) => new Promise((done) => process.send(message, done))
/** Peak resident memory of this process in MB. */
const peak = () => process.resourceUsage().maxRSS / 1024

process.on('unhandledRejection', (error) => {
  send({ fault: `an unhandled rejection: ${error?.stack ?? error}` }).then(() => process.exit(1))
})
// What packages say about a damaged file is not wanted here.
for (const method of ['warn', 'log', 'info', 'error']) console[method] = () => {}
process.removeAllListeners('warning')

await mkdir(folder, { recursive: true })
const cases = await targets[name](folder)
await send({ ready: true, peak: peak() })
for (let i = Number(start); i < Number(end); i++) {
  // The numbers of a mutant depend on its own index alone, so that one can be made again without the others.
  const random = new Random(Number(seed) * 1_000_003 + i)
  const { file, original, mutate, load, placed } = pick(cases, random)
  const bytes = mutate(original, random)
  await writeFile(file, bytes)
  await send({ begin: i, file })
  const message = { end: i, outcome: 'loads' }
  try {
    await load()
  } catch (error) {
    message.outcome = 'error'
    if (!isTunesmithError(error)) message.fault = `a raw error: ${error?.stack?.slice(0, 1500) ?? String(error)}`
    else if (!error.message) message.fault = 'an error without a message'
    else if (placed && !error.where?.includes(file)) message.fault = `an error without its file: ${error.message}`
  }
  await writeFile(file, original)
  await send({ ...message, peak: peak() })
}
process.exit(0)
