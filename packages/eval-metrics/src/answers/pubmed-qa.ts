import { parseOptions } from '@tunesmith/core'
import { z } from 'zod'
import { type ClassificationReport, classificationReport } from '../classification/classification'

/** The three answers of PubMedQA (Q. Jin et al. 2019). */
export const DECISIONS = ['yes', 'no', 'maybe'] as const
export type Decision = (typeof DECISIONS)[number]

/** "Final answer: yes", "the answer to the question is no", `"final_decision": "maybe"`. */
const STATED =
  /\b(?:answer|decision|conclusion|verdict)\b(?:\s+(?:to|for|of)\s+(?:the|this|your)\s+\w+)?["'*_\s]*(?:is|would be|should be|[:=-])[:\s"'*_([]*(?:(?:definitely|clearly|probably|likely|a|an|simply)\s+)*["'*_([]*(yes|no|maybe)\b(?!\s+(?:longer|one|such|known|clear|evidence|significant))/gi
/** A decision as the very first word. "No" must stand alone, or it may just begin "No significant difference ...". */
const FIRST =
  /^[\s"'*_#>([-]*(?:(yes|maybe|perhaps)\b|(no)(?=\s*(?:$|[.,;:!)\]"'*\n\u2013\u2014-]|\b(?:it|they|there|this|these|that|because|since|we)\b)))/i
const YES_AND_NO = /^[\s"'*_]*yes\s+(?:and|or|\/)\s+no\b/i
/** A lone yes, maybe, or a "no" that ends its clause, anywhere. */
const ANYWHERE = /\b(?:(yes|maybe)\b|(no)(?=\s*(?:$|[.,;:!)\]"'\n])))/gi

/**
 * Reads yes, no or maybe out of a free answer. In this order: the last decision stated as such ("the answer is no"), the
 * first word, or the only decision word that occurs; a "no" that merely belongs to a noun ("no difference") is no decision.
 *
 * @returns null when the answer decides nothing, or mentions several decisions without stating one.
 */
export function readDecision(answer: string): Decision | null {
  const stated = [...answer.matchAll(STATED)].at(-1)?.[1]
  if (stated) return stated.toLowerCase() as Decision
  if (YES_AND_NO.test(answer)) return 'maybe'
  const first = FIRST.exec(answer)
  if (first) {
    const word = (first[1] ?? first[2]).toLowerCase()
    return word === 'perhaps' ? 'maybe' : (word as Decision)
  }
  const found = new Set([...answer.matchAll(ANYWHERE)].map((match) => (match[1] ?? match[2]).toLowerCase()))
  return found.size === 1 ? ([...found][0] as Decision) : null
}

const schema = z.strictObject({
  /** Free answers, or bare decisions. */
  predictions: z.array(z.string()),
  references: z.array(z.enum(DECISIONS)),
})

export interface PubmedQaResult {
  /** Share of right decisions; an unreadable answer is wrong. */
  accuracy: number
  /** Mean F1 of the three decisions. */
  macroF1: number
  decisions: (Decision | null)[]
  /** Rows whose answer decides nothing. */
  unread: number
  report: ClassificationReport
}

/**
 * PubMedQA's accuracy and macro F1 from free answers, read with {@link readDecision}.
 *
 * @throws {TunesmithError} `invalid_options`, or `invalid_data` for no rows or different counts.
 */
export function pubmedQa(options: z.input<typeof schema>): PubmedQaResult {
  const { predictions, references } = parseOptions(schema, options, 'pubmedQa')
  const decisions = predictions.map(readDecision)
  // scikit-learn averages over the labels that occur on either side; a decision nobody gives or wants is left out.
  const labels = DECISIONS.filter((label) => decisions.includes(label) || references.includes(label))
  const report = classificationReport({
    predictions: decisions.map((decision) => decision ?? 'none'),
    references,
    labels: labels.length > 0 ? labels : [...DECISIONS],
  })
  return {
    accuracy: report.accuracy,
    macroF1: report.macro.f1,
    decisions,
    unread: decisions.filter((decision) => decision === null).length,
    report,
  }
}
