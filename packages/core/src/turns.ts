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
