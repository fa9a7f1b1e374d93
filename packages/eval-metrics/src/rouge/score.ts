import { clippedMatchesOfIds } from '../strings/ngrams'
import { lcsLength, markLcs } from './lcs'

/** Each between 0 and 1. */
export interface RougeScore {
  precision: number
  recall: number
  fmeasure: number
}

/** ROUGE variants: n-gram overlap, longest common subsequence, and its union over lines. */
export const ROUGE_TYPES = [
  'rouge1',
  'rouge2',
  'rouge3',
  'rouge4',
  'rouge5',
  'rouge6',
  'rouge7',
  'rouge8',
  'rouge9',
  'rougeL',
  'rougeLsum',
] as const
export type RougeType = (typeof ROUGE_TYPES)[number]

function fromCounts(matches: number, predicted: number, wanted: number): RougeScore {
  const precision = matches / Math.max(predicted, 1)
  const recall = matches / Math.max(wanted, 1)
  return { precision, recall, fmeasure: precision + recall > 0 ? (2 * precision * recall) / (precision + recall) : 0 }
}

/** A text as word ids, whole and line by line. The texts of one comparison share their numbering. */
export interface WordIds {
  words: Int32Array
  lines: readonly Int32Array[]
}

/** ROUGE-1 .. ROUGE-`maxOrder` (C.-Y. Lin 2004); index 0 is ROUGE-1. @param size all ids are below it. */
export function scoreNgrams(target: WordIds, prediction: WordIds, size: number, maxOrder: number): RougeScore[] {
  const [wanted, predicted] = [target.words.length, prediction.words.length]
  return clippedMatchesOfIds(prediction.words, [target.words], size, maxOrder).map((matches, i) =>
    fromCounts(matches, Math.max(0, predicted - i), Math.max(0, wanted - i)),
  )
}

/** ROUGE-L: the longest common subsequence of the whole texts. */
export function scoreLcs(target: WordIds, prediction: WordIds, size: number): RougeScore {
  const matches = lcsLength(target.words, prediction.words, size)
  return fromCounts(matches, prediction.words.length, target.words.length)
}

function countWords(lines: readonly Int32Array[], size: number): { counts: Int32Array; total: number } {
  const counts = new Int32Array(size)
  let total = 0
  for (const line of lines) {
    total += line.length
    for (const word of line) counts[word]++
  }
  return { counts, total }
}

/** ROUGE-Lsum: per target line, the union of its common subsequences with every predicted line, each word used once. */
export function scoreSummaryLcs(target: WordIds, prediction: WordIds, size: number): RougeScore {
  const wanted = countWords(target.lines, size)
  const predicted = countWords(prediction.lines, size)
  let matches = 0
  for (const line of target.lines) {
    const marks = new Uint8Array(line.length)
    for (const other of prediction.lines) markLcs(line, other, marks)
    for (let i = 0; i < line.length; i++) {
      const word = line[i]
      if (marks[i] === 0 || wanted.counts[word] === 0 || predicted.counts[word] === 0) continue
      matches++
      wanted.counts[word]--
      predicted.counts[word]--
    }
  }
  return fromCounts(matches, predicted.total, wanted.total)
}
