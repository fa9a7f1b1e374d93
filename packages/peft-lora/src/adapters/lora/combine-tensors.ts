/**
 * Ways to make one tensor of several, element by element: task arithmetic (Ilharco et al. 2022), TIES (Yadav et al. 2023),
 * DARE (Yu et al. 2023) and pruning by magnitude, with PEFT's arithmetic.
 */
export interface CombineOptions {
  method: 'linear' | 'ties' | 'dare_linear' | 'dare_ties' | 'magnitude_prune'
  /** Fraction of the elements that is kept; not for `linear`. */
  density: number
  /** What elects a sign in TIES: the sum of the values or the number of signs. */
  majoritySign: 'total' | 'frequency'
  /** DARE's random choice of elements of one of the tensors: 1 where kept. */
  keep: (tensor: number) => ArrayLike<number>
}

/** The weighted combination of tensors of one size. */
export function combineTensors(
  tensors: readonly Float32Array[],
  weights: readonly number[],
  { method, density, majoritySign, keep }: CombineOptions,
): Float32Array {
  const pruned = tensors.map((tensor, i) => {
    if (method === 'linear' || density >= 1) return tensor
    if (method === 'dare_linear' || method === 'dare_ties') {
      const kept = keep(i)
      return tensor.map((value, at) => (kept[at] ? value / density : 0))
    }
    return largestElements(tensor, density)
  })
  const size = tensors[0]!.length
  const combined = new Float32Array(size)
  const elects = method === 'ties' || method === 'dare_ties'
  for (let at = 0; at < size; at++) {
    let sum = 0
    if (!elects) {
      for (let i = 0; i < pruned.length; i++) sum += pruned[i]![at]! * weights[i]!
      combined[at] = sum
      continue
    }
    let votes = 0
    for (const tensor of pruned) votes += majoritySign === 'total' ? tensor[at]! : Math.sign(tensor[at]!)
    const elected = votes >= 0 ? 1 : -1
    let agreeing = 0
    for (let i = 0; i < pruned.length; i++) {
      if (Math.sign(pruned[i]![at]!) !== elected) continue
      sum += pruned[i]![at]! * weights[i]!
      agreeing++
    }
    combined[at] = sum / Math.max(agreeing, 1)
  }
  return combined
}

/** The tensor with all but the largest magnitudes set to zero. */
function largestElements(tensor: Float32Array, density: number): Float32Array {
  const count = Math.trunc(density * tensor.length)
  const order = Array.from(tensor.keys()).sort((a, b) => Math.abs(tensor[b]!) - Math.abs(tensor[a]!) || a - b)
  const kept = new Float32Array(tensor.length)
  for (const at of order.slice(0, count)) kept[at] = tensor[at]!
  return kept
}
