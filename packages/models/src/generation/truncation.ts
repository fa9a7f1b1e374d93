import type { SamplingMemory } from './selection'

/** Ways to leave unlikely tokens out, beside top-k, top-p and min-p. Each keeps some of the first `count` candidates and returns how many. */

/** Of how many tokens top-h looks at the entropy. */
const TOP_H_TOKENS = 100

function keepWhere(
  { tokens, weights, distances }: SamplingMemory,
  count: number,
  stays: (i: number) => boolean,
): number {
  let kept = 0
  for (let i = 0; i < count; i++) {
    if (!stays(i)) continue
    tokens[kept] = tokens[i]!
    distances[kept] = distances[i]!
    weights[kept++] = weights[i]!
  }
  return kept
}

function totalOf(weights: Float64Array, count: number): number {
  let total = 0
  for (let i = 0; i < count; i++) total += weights[i]!
  return total
}

/** In nats, of the candidates' probabilities. */
function entropyOf({ weights }: SamplingMemory, count: number, total: number): number {
  let entropy = 0
  for (let i = 0; i < count; i++) {
    const probability = weights[i]! / total
    if (probability > 0) entropy -= probability * Math.log(probability)
  }
  return entropy
}

/**
 * Keeps the most likely tokens, as many as have no more than a share of the entropy of the 100 most likely ones; always the first. They lie sorted
 * afterwards.
 */
export function keepEntropy(memory: SamplingMemory, count: number, share: number): number {
  const { tokens, weights, distances } = memory
  const order = Array.from({ length: count }, (_, i) => i)
  order.sort((a, b) => distances[a]! - distances[b]! || tokens[a]! - tokens[b]!)
  const top = order.slice(0, TOP_H_TOKENS).map((i) => [tokens[i]!, weights[i]!, distances[i]!] as const)
  const total = top.reduce((sum, [, weight]) => sum + weight, 0)
  const terms = top.map(([, weight]) => (weight > 0 ? -(weight / total) * Math.log(weight / total) : 0))
  const most = share * terms.reduce((sum, term) => sum + term, 0)
  let reached = 0
  let kept = 0
  for (const [i, [token, weight, distance]] of top.entries()) {
    reached += terms[i]!
    if (i > 0 && reached > most) break
    tokens[kept] = token
    distances[kept] = distance
    weights[kept++] = weight
  }
  return kept
}

/** Keeps tokens whose information is nearest to the entropy, until their probabilities reach `mass` (Meister et al. 2023). */
export function keepTypical(memory: SamplingMemory, count: number, mass: number): number {
  const { weights } = memory
  const total = totalOf(weights, count)
  const entropy = entropyOf(memory, count, total)
  const shift = Float64Array.from({ length: count }, (_, i) => Math.abs(-Math.log(weights[i]! / total) - entropy))
  const order = Array.from({ length: count }, (_, i) => i).sort((a, b) => shift[a]! - shift[b]!)
  let reached = 0
  let last = 0
  while (last < count - 1) {
    reached += weights[order[last]!]! / total
    if (reached >= mass) break
    last++
  }
  const most = shift[order[last]!]!
  return keepWhere(memory, count, (i) => shift[i]! <= most)
}

/** Keeps tokens at least as likely as `least`, and always the most likely ones (Hewitt et al. 2022). */
function keepLikely(memory: SamplingMemory, count: number, total: number, least: number): number {
  const { weights } = memory
  let most = 0
  for (let i = 0; i < count; i++) most = Math.max(most, weights[i]!)
  return keepWhere(memory, count, (i) => weights[i]! / total >= least || weights[i] === most)
}

/** {@link keepLikely} with a fixed bound. */
export const keepEpsilon = (memory: SamplingMemory, count: number, epsilon: number): number =>
  keepLikely(memory, count, totalOf(memory.weights, count), epsilon)

/** {@link keepLikely} with a bound that falls with the entropy: `min(epsilon, sqrt(epsilon) * exp(-entropy))`. */
export function keepEta(memory: SamplingMemory, count: number, epsilon: number): number {
  const total = totalOf(memory.weights, count)
  const bound = Math.min(epsilon, Math.sqrt(epsilon) * Math.exp(-entropyOf(memory, count, total)))
  return keepLikely(memory, count, total, bound)
}
