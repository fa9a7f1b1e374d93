import { clippedMatches, Vocabulary } from '../text/ngrams'
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

/** ROUGE-1 .. ROUGE-`maxOrder` (C.-Y. Lin 2004) of one pair of word lists; index 0 is ROUGE-1. */
export function scoreNgrams(target: readonly string[], prediction: readonly string[], maxOrder: number): RougeScore[] {
  return clippedMatches(prediction, [target], maxOrder).map((matches, i) =>
    fromCounts(matches, Math.max(0, prediction.length - i), Math.max(0, target.length - i)),
  )
}

/** ROUGE-L: the longest common subsequence of the whole texts. */
export function scoreLcs(target: readonly string[], prediction: readonly string[]): RougeScore {
  const vocabulary = new Vocabulary()
  const wanted = vocabulary.encode(target, true)
  const matches = lcsLength(wanted, vocabulary.encode(prediction, false), vocabulary.size)
  return fromCounts(matches, prediction.length, target.length)
}

/** ROUGE-Lsum: per target line, the union of its common subsequences with every predicted line, each word used once. */
export function scoreSummaryLcs(targetLines: readonly string[][], predictionLines: readonly string[][]): RougeScore {
  const vocabulary = new Vocabulary()
  const targets = targetLines.map((line) => vocabulary.encode(line, true))
  const predictions = predictionLines.map((line) => vocabulary.encode(line, true))
  const count = (lines: Int32Array[]) => {
    const counts = new Int32Array(vocabulary.size)
    for (const line of lines) for (const word of line) counts[word]++
    return { counts, total: lines.reduce((sum, line) => sum + line.length, 0) }
  }
  const wanted = count(targets)
  const predicted = count(predictions)
  let matches = 0
  for (const target of targets) {
    const marks = new Uint8Array(target.length)
    for (const prediction of predictions) markLcs(target, prediction, marks)
    for (let i = 0; i < target.length; i++) {
      const word = target[i]
      if (marks[i] === 0 || wanted.counts[word] === 0 || predicted.counts[word] === 0) continue
      matches++
      wanted.counts[word]--
      predicted.counts[word]--
    }
  }
  return fromCounts(matches, predicted.total, wanted.total)
}
