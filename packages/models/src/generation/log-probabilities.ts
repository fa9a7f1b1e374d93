/** A token and the logarithm of its probability under the model, before anything changes the scores. */
export interface TokenLogProb {
  token: number
  logProb: number
}

/** The chosen token and the most likely ones of a row of logits, the likeliest first. */
export function logProbabilities(
  logits: ArrayLike<number>,
  chosen: number,
  count: number,
): { logProb: number; top: TokenLogProb[] } {
  let largest = Number.NEGATIVE_INFINITY
  for (let i = 0; i < logits.length; i++) if (logits[i]! > largest) largest = logits[i]!
  let sum = 0
  for (let i = 0; i < logits.length; i++) sum += Math.exp(logits[i]! - largest)
  const total = largest + Math.log(sum)
  const top: TokenLogProb[] = []
  for (let token = 0; token < logits.length && count > 0; token++) {
    const logProb = logits[token]! - total
    if (top.length === count && logProb <= top[count - 1]!.logProb) continue
    let at = top.length
    while (at > 0 && top[at - 1]!.logProb < logProb) at--
    top.splice(at, 0, { token, logProb })
    if (top.length > count) top.pop()
  }
  return { logProb: logits[chosen]! - total, top }
}
