/**
 * Runs `work` for each item, `limit` at a time. At the first failure the signal given to the others is aborted, no
 * more are started, and the failure is thrown once all have stopped.
 */
export async function inParallel<Item, Result>(
  items: readonly Item[],
  limit: number,
  work: (item: Item, signal: AbortSignal) => Promise<Result>,
  signal?: AbortSignal,
): Promise<Result[]> {
  const results: Result[] = []
  const stop = new AbortController()
  const onAbort = () => stop.abort(signal?.reason)
  if (signal?.aborted) onAbort()
  signal?.addEventListener('abort', onAbort, { once: true })
  let next = 0
  let failed = false
  let failure: unknown
  const lane = async () => {
    while (!failed && next < items.length) {
      const index = next++
      try {
        results[index] = await work(items[index]!, stop.signal)
      } catch (error) {
        if (!failed) failure = error
        failed = true
        stop.abort(error)
      }
    }
  }
  try {
    await Promise.all(Array.from({ length: Math.min(limit, items.length) }, lane))
  } finally {
    signal?.removeEventListener('abort', onAbort)
  }
  if (failed) throw failure
  return results
}
