import type { TokenizedExample } from '@tunesmith/datasets'

/**
 * Examples as the original notebook made them: padded on the right to one length, and the padding's id written over the
 * labels that were meant to be ignored. -100 would be ignored; the padding's id is learnt like any other token.
 */
export function padAsTheNotebookDid(
  examples: readonly TokenizedExample[],
  { length, padId }: { length: number; padId: number },
): TokenizedExample[] {
  return examples.map(({ inputIds, labels }) => {
    const missing = new Array<number>(Math.max(0, length - inputIds.length)).fill(padId)
    return {
      inputIds: [...inputIds, ...missing].slice(0, length),
      labels: [...Array.from(labels, (label) => (label < 0 ? padId : label)), ...missing].slice(0, length),
    }
  })
}

/** What a set of examples costs to compute, and what of it is learnt. */
export function tokenBudget(examples: readonly TokenizedExample[], answers: readonly TokenizedExample[]) {
  const sum = (list: readonly TokenizedExample[], size: (example: TokenizedExample) => number) =>
    list.reduce((total, example) => total + size(example), 0)
  const labelled = ({ labels }: TokenizedExample) => labels.slice(1).filter((label) => label >= 0).length
  return {
    /** Tokens the model computes. */
    tokens: sum(examples, ({ inputIds }) => inputIds.length),
    /** Tokens the loss looks at. */
    labelled: sum(examples, labelled),
    /** Tokens of answers, the only ones worth learning. */
    answers: sum(answers, labelled),
  }
}
