/** Selecting the likely tokens of a large vocabulary without sorting it, in memory that is used again. */

/** Room for one row: what a sampler needs between two tokens and nobody after. */
export interface SamplingMemory {
  scores: Float64Array
  /** Candidates and their weights, unnormalised: the most likely token has 1. */
  tokens: Int32Array
  weights: Float64Array
  /** How far below the most likely token each candidate's score lies, temperature counted in: its weight is `exp(-distance)`. */
  distances: Float64Array
  /** The k largest scores as a heap, the smallest at the root. */
  heap: Float64Array
}

let shared: SamplingMemory | undefined

/** Sampling a token is never interrupted, so that all samplers share one memory. */
export function memoryFor(vocabSize: number): SamplingMemory {
  if (!shared || shared.scores.length < vocabSize)
    shared = {
      scores: new Float64Array(vocabSize),
      tokens: new Int32Array(vocabSize),
      weights: new Float64Array(vocabSize),
      distances: new Float64Array(vocabSize),
      heap: new Float64Array(vocabSize),
    }
  return shared
}

/** The k-th largest of the first `count` scores. */
export function kthLargest({ scores, heap }: SamplingMemory, count: number, k: number): number {
  const sink = (from: number, value: number) => {
    let at = from
    for (;;) {
      let child = 2 * at + 1
      if (child >= k) break
      if (child + 1 < k && heap[child + 1]! < heap[child]!) child++
      if (heap[child]! >= value) break
      heap[at] = heap[child]!
      at = child
    }
    heap[at] = value
  }
  for (let i = 0; i < k; i++) heap[i] = scores[i]!
  for (let i = (k >> 1) - 1; i >= 0; i--) sink(i, heap[i]!)
  for (let i = k; i < count; i++) if (scores[i]! > heap[0]!) sink(0, scores[i]!)
  return heap[0]!
}

/** Bins by distance: `BINS_PER_NAT` to a factor of e in weight, the last for all that is smaller. */
const BINS = 512
const BINS_PER_NAT = 16
const mass = new Float64Array(BINS)
const binOf = (distance: number) => Math.min(BINS - 1, Math.floor(distance * BINS_PER_NAT))

/**
 * Keeps, of the first `count` candidates, the smallest set whose weights reach `p` of all (Holtzman et al. 2020): a
 * token stays when those above it have less. Equal ones count in the order of their ids.
 *
 * A histogram tells in which bin the edge lies; only that bin is sorted. Returns how many are kept, moved to the front.
 */
export function keepNucleus({ tokens, weights, distances }: SamplingMemory, count: number, p: number): number {
  mass.fill(0)
  let total = 0
  for (let i = 0; i < count; i++) {
    total += weights[i]!
    mass[binOf(distances[i]!)]! += weights[i]!
  }
  const target = p * total
  let above = 0
  let edge = 0
  while (edge < BINS - 1 && above + mass[edge]! < target) above += mass[edge++]!
  const atEdge: number[] = []
  for (let i = 0; i < count; i++) if (binOf(distances[i]!) === edge) atEdge.push(i)
  atEdge.sort((a, b) => distances[a]! - distances[b]! || tokens[a]! - tokens[b]!)
  // The last of the edge that stays: what comes after it in that order goes.
  let last = -1
  for (const i of atEdge) {
    if (above >= target && last >= 0) break
    last = i
    above += weights[i]!
  }
  const stays = (i: number) => {
    const bin = binOf(distances[i]!)
    if (bin !== edge) return bin < edge
    if (last < 0) return false
    return distances[i]! < lastDistance || (distances[i]! === lastDistance && tokens[i]! <= lastToken)
  }
  const lastDistance = last < 0 ? 0 : distances[last]!
  const lastToken = last < 0 ? 0 : tokens[last]!
  let kept = 0
  for (let i = 0; i < count; i++) {
    if (!stays(i)) continue
    const [token, weight] = [tokens[i]!, weights[i]!]
    tokens[kept] = token
    weights[kept++] = weight
  }
  return kept
}
