/**
 * The positions of a longest common subsequence of two sequences, as pairs in ascending order. Among several the one that
 * skips elements of `a` first.
 *
 * @param same whether element `i` of `a` equals element `j` of `b`. Time and memory grow with `aLength * bLength`.
 */
export function commonSubsequence(
  aLength: number,
  bLength: number,
  same: (i: number, j: number) => boolean,
): [i: number, j: number][] {
  const stride = bLength + 1
  // longest[i, j]: of what follows positions i and j.
  const longest = new Uint32Array((aLength + 1) * stride)
  for (let i = aLength - 1; i >= 0; i--)
    for (let j = bLength - 1; j >= 0; j--)
      longest[i * stride + j] = same(i, j)
        ? longest[(i + 1) * stride + j + 1] + 1
        : Math.max(longest[(i + 1) * stride + j], longest[i * stride + j + 1])
  const pairs: [number, number][] = []
  let [i, j] = [0, 0]
  while (i < aLength && j < bLength) {
    if (same(i, j)) pairs.push([i++, j++])
    else if (longest[(i + 1) * stride + j] >= longest[i * stride + j + 1]) i++
    else j++
  }
  return pairs
}
