export function median(values) {
  const sorted = [...values].sort((a, b) => a - b)
  const middle = sorted.length >> 1
  return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2
}

/** Seconds that `work` takes. When it resolves to a number, that is taken instead: a peer process that times itself. */
async function seconds(work) {
  const start = performance.now()
  const own = await work()
  return typeof own === 'number' ? own : (performance.now() - start) / 1000
}

/**
 * Time the contenders in turns, so that a slow minute of the machine hits all of them: warm-up rounds that do not count,
 * then `rounds` rounds, each starting with another contender. Returns the median seconds by name.
 *
 * @param contenders `{ ours: () => ..., peer: () => ... }`, sync or async; a returned number counts as the seconds
 * @param options `rounds` (default 5), `warmup` (default 1)
 */
export async function interleaved(contenders, { rounds = 5, warmup = 1 } = {}) {
  const names = Object.keys(contenders)
  const times = Object.fromEntries(names.map((name) => [name, []]))
  for (let round = -warmup; round < rounds; round++)
    for (let i = 0; i < names.length; i++) {
      const name = names[(i + round + warmup) % names.length]
      const time = await seconds(contenders[name])
      if (round >= 0) times[name].push(time)
    }
  return Object.fromEntries(names.map((name) => [name, median(times[name])]))
}

/** A row of the table; the ratio is above 1 when ours is better. `lowerIsBetter` (default false) for seconds and bytes. */
export function row({ case: name, ours, peer, unit, lowerIsBetter = false, oursMemory, peerMemory }) {
  const ratio = ours === undefined || peer === undefined ? undefined : lowerIsBetter ? peer / ours : ours / peer
  return {
    case: name,
    ours,
    peer,
    ratio,
    unit,
    ...(oursMemory === undefined ? {} : { oursMemory }),
    ...(peerMemory === undefined ? {} : { peerMemory }),
  }
}

/** A row of speeds from seconds: `amount` units of work each, e.g. `{ seconds: times, amount: 1e6, unit: 'tokens/s' }`. */
export function speedRow({ case: name, seconds: { ours, peer }, amount, unit, ...memory }) {
  return row({ case: name, ours: amount / ours, peer: peer === undefined ? undefined : amount / peer, unit, ...memory })
}
