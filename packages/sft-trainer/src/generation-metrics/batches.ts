/**
 * Groups prompts of like length, so that sequences times the longest of them, its answer included, stays within a budget:
 * what the key/value cache of a batch takes.
 *
 * @returns indices of `lengths`, longest first; what does not run out of memory at once will not later.
 */
export function tokenBudgetBatches(
  lengths: readonly number[],
  { maxNewTokens, batchSize, tokenBudget }: { maxNewTokens: number; batchSize: number; tokenBudget: number },
): number[][] {
  const order = Array.from(lengths.keys()).sort((a, b) => lengths[b]! - lengths[a]! || a - b)
  const batches: number[][] = []
  for (const index of order) {
    const batch = batches.at(-1)
    const longest = batch ? lengths[batch[0]!]! + maxNewTokens : 0
    if (batch && batch.length < batchSize && (batch.length + 1) * longest <= tokenBudget) batch.push(index)
    else batches.push([index])
  }
  return batches
}
