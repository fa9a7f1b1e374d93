import { invalidData } from '@tunesmith/core'
import { bootstrapInterval, type Interval, type PairedDifference, pairedBootstrap } from '@tunesmith/eval-metrics'
import { type CheckOptions, checkCitations } from '../prompt/citations'
import type { NumberedPassage } from '../prompt/rag-prompt'

/** A question that was answered twice: with what was retrieved, and without. */
export interface AnsweredRow {
  without: string
  with: string
  /** What the answer was given. */
  used: readonly NumberedPassage[]
}

export interface AnswerEvaluation {
  /** Means of the scores, with their intervals. */
  without: Interval
  with: Interval
  /** What retrieval changed, on the same rows. */
  difference: PairedDifference
  /** Share of an answer's claims whose words stand in what it cites. */
  groundedness: Interval
  /** Share of the answers that cite nothing but what they were given, and cite at all unless they abstain. */
  cited: Interval
  /** Share of the answers that say it is not in the sources. */
  abstained: number
}

/**
 * Whether retrieval helped.
 *
 * @param score how right an answer is, 0 to 1, by the position of its row.
 * @throws {TunesmithError} `invalid_data` for no rows.
 */
export function evaluateAnswers(
  rows: readonly AnsweredRow[],
  score: (answer: string, row: number) => number,
  options: CheckOptions = {},
): AnswerEvaluation {
  if (rows.length === 0) throw invalidData('There is no answer', { where: 'evaluateAnswers' })
  const without = rows.map((row, i) => score(row.without, i))
  const given = rows.map((row, i) => score(row.with, i))
  const checked = rows.map((row) => checkCitations(row.with, row.used, options))
  return {
    without: bootstrapInterval(without),
    with: bootstrapInterval(given),
    difference: pairedBootstrap(without, given),
    groundedness: bootstrapInterval(checked.map(({ groundedness }) => groundedness)),
    cited: bootstrapInterval(
      checked.map(({ citations, unknown, abstained }) =>
        unknown.length === 0 && (citations.length > 0 || abstained) ? 1 : 0,
      ),
    ),
    abstained: checked.filter(({ abstained }) => abstained).length / rows.length,
  }
}
