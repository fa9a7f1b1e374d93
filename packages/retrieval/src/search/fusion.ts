/** A candidate of one search: its key, best first, with its score. */
export interface Ranked {
  key: string
  score: number
}

/** How two rankings become one. */
export type Fusion =
  | {
      method: 'rrf'
      /** Damps the lead of the first ranks. Default 60. */
      k?: number
    }
  | {
      method: 'convex'
      /** Of the dense score, 0 to 1; the other gets the rest. */
      weight: number
    }

/** Reciprocal rank fusion (G. Cormack, C. Clarke, S. Büttcher 2009): the sum of `1 / (k + rank)`, ranks from 1. */
export function reciprocalRankFusion(rankings: readonly (readonly Ranked[])[], k = 60): Ranked[] {
  const scores = new Map<string, number>()
  for (const ranking of rankings)
    ranking.forEach(({ key }, i) => {
      scores.set(key, (scores.get(key) ?? 0) + 1 / (k + i + 1))
    })
  return sorted(scores)
}

/**
 * Convex combination of normalised scores (S. Bruch, S. Gai, A. Ingber 2023): each score relative to the best one, from the least that is
 * possible, 0 for BM25 and -1 for a cosine. A candidate that one search did not find gets its lowest score there.
 */
export function convexFusion(bm25: readonly Ranked[], dense: readonly Ranked[], weight: number): Ranked[] {
  const words = normalised(bm25, 0)
  const vectors = normalised(dense, -1)
  const scores = new Map<string, number>()
  for (const key of [...words.of.keys(), ...vectors.of.keys()])
    scores.set(
      key,
      (1 - weight) * (words.of.get(key) ?? words.lowest) + weight * (vectors.of.get(key) ?? vectors.lowest),
    )
  return sorted(scores)
}

function normalised(ranking: readonly Ranked[], least: number) {
  const best = (ranking[0]?.score ?? 0) - least
  const of = new Map(ranking.map(({ key, score }) => [key, best > 0 ? (score - least) / best : 0]))
  return { of, lowest: ranking.length > 0 ? of.get(ranking.at(-1)!.key)! : 0 }
}

/** Best first; the order of arrival decides between equals. */
const sorted = (scores: ReadonlyMap<string, number>): Ranked[] =>
  [...scores].map(([key, score]) => ({ key, score })).sort((a, b) => b.score - a.score)
