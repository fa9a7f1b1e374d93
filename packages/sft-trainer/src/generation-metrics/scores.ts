import { bleu, exactMatch, rouge } from '@tunesmith/eval-metrics'

export const GENERATION_METRICS = ['rouge', 'bleu', 'exact_match'] as const
export type GenerationMetric = (typeof GENERATION_METRICS)[number]

type Answers = { predictions: string[]; references: string[] }

/** ROUGE as rouge_score with stems, 0 to 1; BLEU as sacrebleu, 0 to 100; exact match as SQuAD, 0 to 1. */
const SCORES: Record<GenerationMetric, (answers: Answers) => Record<string, number>> = {
  rouge(answers) {
    const { mean } = rouge({ ...answers, useStemmer: true })
    const { rouge1, rouge2, rougeL } = mean
    return { evalRouge1: rouge1!.fmeasure, evalRouge2: rouge2!.fmeasure, evalRougeL: rougeL!.fmeasure }
  },
  bleu: (answers) => ({ evalBleu: bleu(answers).score }),
  exact_match: (answers) => ({ evalExactMatch: exactMatch(answers).score }),
}

export function generationScores(metrics: readonly GenerationMetric[], answers: Answers): Record<string, number> {
  return Object.assign({}, ...metrics.map((metric) => SCORES[metric](answers)))
}
