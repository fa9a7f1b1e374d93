/** The JavaScript side of startWorker (children.mjs), as worker.py is the Python one: one JSON line in, one JSON line out. */
import { createInterface } from 'node:readline'

/** Answers `{ call: NAME, ... }` with `handlers[NAME](message)`; its time is added as `seconds` unless it has one. */
export async function serve(handlers) {
  for await (const line of createInterface({ input: process.stdin })) {
    const message = JSON.parse(line)
    try {
      const start = performance.now()
      const answer = await handlers[message.call](message)
      console.log(JSON.stringify({ seconds: (performance.now() - start) / 1000, ...answer }))
    } catch (error) {
      console.log(JSON.stringify({ error: error.stack }))
    }
  }
}
