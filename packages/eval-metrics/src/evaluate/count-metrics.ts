import { invalidData } from '@tunesmith/core'
import { DECISIONS, type Decision, readDecision } from '../answers/pubmed-qa'
import { averages, fromCounts } from '../classification/prf'
import { bioTags } from '../entities/bio-lines'
import { matchEntities } from '../entities/chunks'
import type { CorpusMetric } from '../sacrebleu/metric'

const noSignature = (text: string) => () => ({ signature: text, signatureShort: text })

/** The decision a PubMedQA reference states. */
export function wantedDecision(text: string, where: string): Decision {
  const decision = DECISIONS.find((label) => label === text.trim().toLowerCase())
  if (decision) return decision
  throw invalidData(`The reference "${text.slice(0, 40)}" is none of ${DECISIONS.join(', ')}`, { where })
}

/** Mean F1 of the decisions that occur, from counts per decision, so that it can be resampled. */
export const pubmedQaMacroF1: CorpusMetric = {
  name: 'pubmedQa macro F1',
  higherIsBetter: true,
  statistics(prediction, [reference]) {
    const read = readDecision(prediction)
    const wanted = wantedDecision(reference, 'pubmedQa')
    return DECISIONS.flatMap((label) => {
      const [p, w] = [read === label, wanted === label]
      return [Number(p && w), Number(p), Number(w)]
    })
  },
  score(sums) {
    const counts = DECISIONS.map((_, i) => ({
      correct: sums[3 * i],
      predicted: sums[3 * i + 1],
      wanted: sums[3 * i + 2],
    }))
    const present = counts.filter(({ predicted, wanted }) => predicted + wanted > 0)
    return averages(present).macro.f1
  },
  signature: noSignature('decisions read from free answers'),
}

/** Tokens and tags of a reference written as `token : TAG` lines. */
function readReference(text: string): { tokens: string[]; tags: string[] } {
  const lines = text.split('\n').filter((line) => line.trim() !== '')
  const tagged = lines.map((line) => /^(.*\S)\s+:\s+([BI]-\S+|O)\s*$/.exec(line))
  const bad = tagged.indexOf(null)
  if (bad !== -1) {
    throw invalidData(`The reference's line "${lines[bad].slice(0, 40)}" is not "token : TAG"`, {
      where: 'entityF1',
      remedy: 'For other layouts, read the tags yourself and call entityF1',
    })
  }
  return { tokens: tagged.map((match) => match?.[1] ?? ''), tags: tagged.map((match) => match?.[2] ?? 'O') }
}

/** Micro F1 of whole entities in `token : TAG` answers, from counts per row. */
export const entityMicroF1: CorpusMetric = {
  name: 'entityF1',
  higherIsBetter: true,
  statistics(prediction, [reference]) {
    const { tokens, tags } = readReference(reference)
    const { correct, predicted, wanted } = matchEntities(bioTags({ tokens, answer: prediction }).tags, tags, false)
    return [correct.length, predicted.length, wanted.length]
  },
  score: (sums) => fromCounts({ correct: sums[0], predicted: sums[1], wanted: sums[2] }).f1,
  signature: noSignature('micro F1 of whole entities, as seqeval'),
}
