import { commonSubsequence } from '../strings/common-subsequence'

/** A stretch of text that both sides share, or that only this side has. */
export interface DiffPiece {
  text: string
  changed: boolean
}

// Above this many table cells the middle is shown as wholly changed: nobody reads such a diff word by word.
const MAX_CELLS = 4_000_000

/** Words with the white space after them, so that the pieces join to the exact text. */
function words(text: string): string[] {
  return text.match(/\s+|[\p{L}\p{N}\p{M}]+|[^\s\p{L}\p{N}\p{M}]/gu) ?? []
}

function pieces(tokens: readonly string[], shared: Uint8Array): DiffPiece[] {
  const result: DiffPiece[] = []
  tokens.forEach((text, i) => {
    // White space between two changed words belongs to the change, or every gap would break it up.
    const blank = /^\s+$/.test(text)
    const changed = blank
      ? shared[i] === 0 || (shared[i - 1] === 0 && shared[i + 1] === 0 && i > 0 && i + 1 < tokens.length)
      : shared[i] === 0
    const last = result.at(-1)
    if (last?.changed === changed) last.text += text
    else result.push({ text, changed })
  })
  return result
}

/**
 * Compares two texts word by word (longest common subsequence).
 *
 * @returns both texts cut into shared and changed pieces; each side's pieces join to that text.
 */
export function wordDiff(before: string, after: string): { before: DiffPiece[]; after: DiffPiece[] } {
  const a = words(before)
  const b = words(after)
  const sharedA = new Uint8Array(a.length)
  const sharedB = new Uint8Array(b.length)
  let start = 0
  while (start < a.length && start < b.length && a[start] === b[start]) start++
  let endA = a.length
  let endB = b.length
  while (endA > start && endB > start && a[endA - 1] === b[endB - 1]) {
    endA--
    endB--
  }
  sharedA.fill(1, 0, start).fill(1, endA)
  sharedB.fill(1, 0, start).fill(1, endB)
  const [rows, columns] = [endA - start, endB - start]
  if (rows * columns <= MAX_CELLS)
    for (const [i, j] of commonSubsequence(rows, columns, (i, j) => a[start + i] === b[start + j])) {
      sharedA[start + i] = 1
      sharedB[start + j] = 1
    }
  return { before: pieces(a, sharedA), after: pieces(b, sharedB) }
}
