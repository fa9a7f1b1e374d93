import type { Row } from '@tunesmith/datasets'
import type { Message } from '@tunesmith/tokenization'

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

const SYSTEM = 'You answer questions about medical studies: first yes, no or maybe, then why.'

/**
 * The conversation in which a question is asked. The passages are the place where retrieval will put what it found; with
 * none, the model has only what it remembers.
 */
export const ask = (question: string, passages: readonly string[]): Message[] => [
  { role: 'system', content: SYSTEM },
  {
    role: 'user',
    content: passages.length > 0 ? `${passages.join('\n')}\n\nQuestion: ${question}` : `Question: ${question}`,
  },
]

/** The answer that is learnt: the decision, then the study's conclusion. */
export const answerText = ({ decision, longAnswer }: Pick<Question, 'decision' | 'longAnswer'>): string =>
  `Decision: ${decision}.\n${longAnswer}`
