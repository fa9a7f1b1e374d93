import { setImmediate as nextTurn } from 'node:timers/promises'

/**
 * For long loops on the main thread: what it returns is awaited now and then, and lets timers and sockets have their turn
 * once the loop has worked for `ms` since the last one.
 */
export function createTurns(ms = 4): () => Promise<void> | undefined {
  let last = performance.now()
  return () => {
    if (performance.now() - last < ms) return undefined
    return nextTurn().then(() => {
      last = performance.now()
    })
  }
}

/** Runs a generator to its end in one go. */
export function atOnce<Result>(work: Generator<void, Result>): Result {
  for (;;) {
    const { done, value } = work.next()
    if (done) return value
  }
}

/** Runs a generator to its end; wherever it yields, the event loop may have its turn. */
export async function inTurns<Result>(work: Generator<void, Result>): Promise<Result> {
  const turns = createTurns()
  for (;;) {
    const { done, value } = work.next()
    if (done) return value
    await turns()
  }
}
