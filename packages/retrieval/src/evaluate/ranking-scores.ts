/** The share of the relevant documents that stand among the first `k`. */
export const recallAt = (found: readonly string[], relevant: ReadonlySet<string>, k: number): number =>
  hits(found, relevant, k) / relevant.size

/** The share of `k` places that relevant documents take; a list that is shorter has empty places. */
export const precisionAt = (found: readonly string[], relevant: ReadonlySet<string>, k: number): number =>
  hits(found, relevant, k) / k

/** One over the rank of the first relevant document; 0 without any. */
export function reciprocalRank(found: readonly string[], relevant: ReadonlySet<string>): number {
  const at = found.findIndex((id) => relevant.has(id))
  return at < 0 ? 0 : 1 / (at + 1)
}

/** Discounted cumulative gain over the best possible one (K. Järvelin, J. Kekäläinen 2002), each relevant document worth 1. */
export function ndcgAt(found: readonly string[], relevant: ReadonlySet<string>, k: number): number {
  const discount = (rank: number) => 1 / Math.log2(rank + 1)
  let gain = 0
  found.slice(0, k).forEach((id, i) => {
    if (relevant.has(id)) gain += discount(i + 1)
  })
  let best = 0
  for (let rank = 1; rank <= Math.min(k, relevant.size); rank++) best += discount(rank)
  return gain / best
}

const hits = (found: readonly string[], relevant: ReadonlySet<string>, k: number) =>
  found.slice(0, k).filter((id) => relevant.has(id)).length
