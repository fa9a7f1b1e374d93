/** Longest common subsequences over word ids, as rouge_score defines them. */

/**
 * Length of the longest common subsequence, 32 table cells at a time (H. Hyyrö, "Bit-parallel LCS-length computation
 * revisited", 2004): the bits of `row` mark where a row of the classic table does not grow.
 *
 * @param a ids in [0, vocabularySize). @param b ids likewise.
 */
export function lcsLength(a: Int32Array, b: Int32Array, vocabularySize: number): number {
  const words = (a.length + 31) >>> 5
  const positions = new Int32Array(vocabularySize * words)
  for (let i = 0; i < a.length; i++) positions[a[i] * words + (i >>> 5)] |= 1 << (i & 31)
  const row = new Int32Array(words).fill(-1)
  for (let j = 0; j < b.length; j++) {
    const base = b[j] * words
    let carry = 0
    for (let w = 0; w < words; w++) {
      const v = row[w]
      const u = v & positions[base + w]
      const sum = (v >>> 0) + (u >>> 0) + carry
      carry = sum > 0xffffffff ? 1 : 0
      row[w] = sum | (v & ~u)
    }
  }
  let length = 0
  for (let i = 0; i < a.length; i++) if (((row[i >>> 5] >>> (i & 31)) & 1) === 0) length++
  return length
}

// Reused from line to line, since nearly all are short; a huge one gets, and gives back, its own.
const scratch = new Uint32Array(1 << 18)

/**
 * Marks the positions of `reference` that lie on one longest common subsequence with `candidate`.
 * Among several, the one rouge_score's backtracking finds: from the end, towards the start of the reference on ties.
 */
export function markLcs(reference: Int32Array, candidate: Int32Array, marks: Uint8Array): void {
  const rows = reference.length
  const columns = candidate.length
  const stride = columns + 1
  const size = (rows + 1) * stride
  const table = size <= scratch.length ? scratch : new Uint32Array(size)
  table.fill(0, 0, stride)
  for (let i = 1; i <= rows; i++) {
    const word = reference[i - 1]
    const here = i * stride
    const above = here - stride
    table[here] = 0
    let left = 0
    for (let j = 1; j <= columns; j++) {
      if (word === candidate[j - 1]) left = table[above + j - 1] + 1
      else if (table[above + j] > left) left = table[above + j]
      table[here + j] = left
    }
  }
  let i = rows
  let j = columns
  while (i > 0 && j > 0) {
    if (reference[i - 1] === candidate[j - 1]) {
      marks[i - 1] = 1
      i--
      j--
    } else if (table[i * stride + j - 1] > table[(i - 1) * stride + j]) j--
    else i--
  }
}
