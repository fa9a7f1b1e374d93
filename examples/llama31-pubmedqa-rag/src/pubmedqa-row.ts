import type { Row } from '@tunesmith/datasets'
import { type RagPrompt, type RagPromptOptions, ragPrompt } from '@tunesmith/retrieval'

/** A question about a study, whichever copy of PubMedQA it comes from. */
export interface Question {
  id: string
  question: string
  /** The abstract without its conclusion, a text per section. */
  contexts: string[]
  longAnswer: string
  decision: 'yes' | 'no' | 'maybe'
}

/** Rows of the Hub's data set (`context.contexts`) and of the authors' JSON file (`CONTEXTS`) alike. */
export function readQuestion(row: Row): Question {
  const context = row.context as { contexts: string[] } | undefined
  return {
    id: String(row.pubid ?? row.id),
    question: String(row.question ?? row.QUESTION),
    contexts: context?.contexts ?? (row.CONTEXTS as string[]),
    longAnswer: String(row.long_answer ?? row.LONG_ANSWER),
    decision: row.final_decision as Question['decision'],
  }
}

const SYSTEM =
  'You answer questions about medical studies: first yes, no or maybe, then why, with the number of the study in brackets.'

/** A study as a source: its abstract under the id by which an answer's citation is looked up. */
export const studyOf = ({ id, contexts }: Question) => ({ id, document: id, source: id, text: contexts.join('\n') })

/** The conversation in which a question is asked, with the studies that fit, best first, numbered from 1; with none, the model has only what it remembers. */
export const ask = (
  question: string,
  passages: RagPromptOptions['passages'],
  size: Pick<RagPromptOptions, 'maxTokens' | 'countTokens'>,
): RagPrompt => ragPrompt({ question, passages, instructions: SYSTEM, ...size })

/** The answer that is learnt: the decision, then the study's conclusion with its number. */
export const answerText = (
  { decision, longAnswer }: Pick<Question, 'decision' | 'longAnswer'>,
  number: number,
): string => `Decision: ${decision}.\n${longAnswer.replace(/[.\s]+$/, '')} [${number}].`

/** The reason in an answer: what stands behind its decision. */
export const reasonOf = (answer: string): string => answer.replace(/^Decision: \w+\.\s*/, '')

/** A text without its citations, as the study's authors would write it. */
export const withoutCitations = (text: string): string => text.replace(/\s*\[\d+\]/g, '')
