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

/**
 * A row of the table; the ratio is above 1 when ours is better.
 *
 * @param options `peer`, or `peers` by name, each `{ value, memory? }`: the best of them is the peer of the row. `ours` and values in
 *   `unit`, memory in bytes; `ofPeak` is the part of the processor's limit that ours reaches; `lowerIsBetter` (default false) for
 *   seconds and bytes
 */
export function row({ case: name, ours, unit, lowerIsBetter = false, oursMemory, ofPeak, peers, ...one }) {
  const better = (a, b) => (lowerIsBetter ? a.value < b.value : a.value > b.value)
  const peerName = Object.keys(peers ?? {}).reduce(
    (best, each) => (best === undefined || better(peers[each], peers[best]) ? each : best),
    undefined,
  )
  const best = peers?.[peerName]
  const { peer = best?.value, peerMemory = best?.memory } = one
  const ratio = ours === undefined || peer === undefined ? undefined : lowerIsBetter ? peer / ours : ours / peer
  return {
    case: name,
    ours,
    peer,
    ratio,
    unit,
    ...(peerName === undefined ? {} : { peerName, peers }),
    ...(ofPeak === undefined ? {} : { ofPeak }),
    ...(oursMemory === undefined ? {} : { oursMemory }),
    ...(peerMemory === undefined ? {} : { peerMemory }),
  }
}

/**
 * A row of speeds from seconds: `amount` units of work each, e.g. `{ seconds: { ours, peer }, amount: 1e6, unit: 'tokens/s' }`.
 * With `peers`, an object of seconds by name, the fastest is the peer; `peersMemory` has their bytes under the same names.
 */
export function speedRow({ seconds: { ours, peer }, peers, peersMemory, amount, ...rest }) {
  const named =
    peers &&
    Object.fromEntries(
      Object.entries(peers).map(([name, seconds]) => [
        name,
        { value: amount / seconds, ...(peersMemory?.[name] === undefined ? {} : { memory: peersMemory[name] }) },
      ]),
    )
  return row({ ours: amount / ours, peer: peer === undefined ? undefined : amount / peer, peers: named, ...rest })
}
