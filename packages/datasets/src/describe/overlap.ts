import { parseOptions } from '@tunesmith/core'
import { z } from 'zod'
import { groupIndices } from '../values'

const overlapSchema = z.strictObject({
  /** The share of word groups two texts must have in common (Jaccard similarity) to be near-duplicates. Default 0.8. */
  threshold: z.number().gt(0).max(1).default(0.8),
  /** Words in a group. Default 3. */
  wordsPerGroup: z.int().positive().default(3),
})
export type OverlapOptions = z.input<typeof overlapSchema>

export interface OverlapPair {
  /** Index in the texts tested. */
  row: number
  /** Index in the texts they were compared with. */
  other: number
  /** 1 for equal texts, else their Jaccard similarity. */
  similarity: number
}

export interface Overlap {
  /** Rows whose text occurs in the other set, word for word. */
  exact: number
  /** Further rows that come near to a text of the other set. */
  near: number
  /** One pair for each row that is counted. */
  pairs: OverlapPair[]
}

/** White space does not make two texts different. */
const normalize = (text: string) => text.trim().replace(/\s+/g, ' ')

/** FNV-1a over a group of words. */
function hashGroup(words: readonly string[], from: number, to: number): number {
  let hash = 0x811c9dc5
  for (let w = from; w < to; w++) {
    const word = words[w]!
    for (let i = 0; i < word.length; i++) hash = Math.imul(hash ^ word.charCodeAt(i), 0x01000193)
    hash = Math.imul(hash ^ 32, 0x01000193)
  }
  return hash >>> 0
}

/** The different groups of neighbouring words in a text, by hash; case and punctuation are left out. */
function groupsOf(text: string, size: number): Uint32Array {
  const words = text.toLowerCase().match(/[\p{L}\p{N}]+/gu) ?? []
  if (words.length === 0) return new Uint32Array()
  const groups = new Set<number>()
  for (let from = 0; from <= Math.max(0, words.length - size); from++)
    groups.add(hashGroup(words, from, Math.min(words.length, from + size)))
  return Uint32Array.from(groups)
}

function countCommon(a: Uint32Array, b: Uint32Array): number {
  let [i, j, common] = [0, 0, 0]
  while (i < a.length && j < b.length) {
    if (a[i] === b[j]) {
      common++
      i++
      j++
    } else if (a[i]! < b[j]!) i++
    else j++
  }
  return common
}

interface Entry {
  rows: number[]
  /** Its groups by rank, rarest first. */
  ranks: Uint32Array
  /** How many of the rarest to look at: two similar texts share at least one of them. */
  prefix: number
}

/** Numbers all groups from the rarest to the most frequent, so that a sorted text starts with its rarest. */
function rankGroups(sets: { groups: Uint32Array }[]): Map<number, number> {
  const frequency = new Map<number, number>()
  for (const { groups } of sets) for (const group of groups) frequency.set(group, (frequency.get(group) ?? 0) + 1)
  const ranked = [...frequency].sort(([a, countA], [b, countB]) => countA - countB || a - b)
  return new Map(ranked.map(([group], rank) => [group, rank]))
}

/**
 * Which of `texts` occur among `others`, exactly or nearly. Every pair over the threshold is found and none below it
 * (no sketching): prefix filtering over the rarest word groups, as in AllPairs (Bayardo et al., WWW 2007).
 */
export function findOverlap(
  texts: readonly string[],
  others: readonly string[],
  options: OverlapOptions = {},
): Overlap {
  const { threshold, wordsPerGroup } = parseOptions(overlapSchema, options, 'findOverlap')
  const left = groupIndices(texts, normalize)
  const right = groupIndices(others, normalize)
  const pairs: OverlapPair[] = []
  let exact = 0
  for (const [text, rows] of left) {
    const match = right.get(text)
    if (!match) continue
    exact += rows.length
    for (const row of rows) pairs.push({ row, other: match[0]!, similarity: 1 })
    left.delete(text)
  }

  const split = (sets: Map<string, number[]>) =>
    [...sets].map(([text, rows]) => ({ rows, groups: groupsOf(text, wordsPerGroup) }))
  const [leftGroups, rightGroups] = [split(left), split(right)]
  const rank = rankGroups([...leftGroups, ...rightGroups])
  const finish = ({ rows, groups }: (typeof leftGroups)[number]): Entry => ({
    rows,
    ranks: groups.map((group) => rank.get(group)!).sort(),
    prefix: groups.length === 0 ? 0 : groups.length - Math.ceil(threshold * groups.length) + 1,
  })
  const open = leftGroups.map(finish)
  const index = new Map<number, number[]>()
  open.forEach(({ ranks, prefix }, entry) => {
    for (const group of ranks.subarray(0, prefix)) {
      const entries = index.get(group)
      if (entries) entries.push(entry)
      else index.set(group, [entry])
    }
  })

  const found = new Map<number, OverlapPair>()
  for (const item of rightGroups) {
    const other = finish(item)
    const candidates = new Set<number>()
    for (const group of other.ranks.subarray(0, other.prefix))
      for (const entry of index.get(group) ?? []) candidates.add(entry)
    for (const candidate of candidates) {
      if (found.has(candidate)) continue // one near text is enough to know
      const entry = open[candidate]!
      const [a, b] = [entry.ranks.length, other.ranks.length]
      if (Math.min(a, b) < threshold * Math.max(a, b)) continue
      const common = countCommon(entry.ranks, other.ranks)
      const similarity = common / (a + b - common)
      if (similarity >= threshold) found.set(candidate, { row: entry.rows[0]!, other: other.rows[0]!, similarity })
    }
  }
  let near = 0
  for (const [candidate, pair] of found) {
    near += open[candidate]!.rows.length
    for (const row of open[candidate]!.rows) pairs.push({ ...pair, row })
  }
  return { exact, near, pairs: pairs.sort((a, b) => a.row - b.row) }
}
