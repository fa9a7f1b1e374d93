export { DECISIONS, type Decision, type PubmedQaResult, pubmedQa, readDecision } from './answers/pubmed-qa'
export { type AnswerOptions, type AnswerScores, exactMatch, normalizeAnswer, tokenF1 } from './answers/squad'
export {
  type FormatCheck,
  forbiddenPatterns,
  jsonSchema,
  lengthBetween,
  noCode,
  noPromptEcho,
  noTemplateTokens,
  requiredSections,
} from './checks/checks'
export { type CheckResult, runChecks } from './checks/run-checks'
export {
  type ClassificationOptions,
  type ClassificationReport,
  classificationReport,
} from './classification/classification'
export type { Label } from './classification/confusion'
export type { PrecisionRecallF1 } from './classification/prf'
export { type BioReading, bioTags } from './entities/bio-lines'
export { type Entity, entitiesOf } from './entities/chunks'
export { type EntityOptions, type EntityScores, entityF1 } from './entities/entity-f1'
export { type CompareOptions, type CompareResult, compare, type EvaluateOptions, evaluate } from './evaluate/evaluate'
export { METRIC_NAMES, type MetricName } from './evaluate/metrics'
export type { Vote } from './judge/journal'
export { type JudgeOptions, type JudgeResult, judgePairs } from './judge/judge-pairs'
export type { Preference } from './judge/preference'
export { distinctN, lengthRatio, repetition } from './reference-free/diversity'
export { type PerplexityOptions, type PerplexityResult, perplexity } from './reference-free/perplexity'
export { compareReport, type Report } from './report/compare-report'
export { type LineChartOptions, lineChart } from './report/line-chart'
export type { Comparison, MetricSummary, ReportSummary, SystemSummary } from './report/summary'
export type { CheckFailure, EvalRow, MetricResult, ReportOptions } from './report/types'
export { type DiffPiece, wordDiff } from './report/word-diff'
export { type Agreement, agreement } from './review/agreement'
export { type ReviewResult, scoreReview } from './review/score'
export { type BlindReview, type BlindReviewOptions, blindReview } from './review/sheet'
export { porterStem } from './rouge/porter-stemmer'
export {
  type RougeInterval,
  type RougeOptions,
  type RougePairOptions,
  type RougeResult,
  rouge,
  rougeScore,
} from './rouge/rouge'
export { ROUGE_TYPES, type RougeScore, type RougeType } from './rouge/score'
export { splitSentences } from './rouge/sentences'
export { rougeTokens } from './rouge/tokenize'
export {
  type BleuOptions,
  type BleuParts,
  type BleuResult,
  bleu,
  bleuMetric,
  type SentenceBleuOptions,
  sentenceBleu,
} from './sacrebleu/bleu'
export { type ChrfOptions, chrf, chrfMetric, type SentenceChrfOptions, sentenceChrf } from './sacrebleu/chrf'
export type { CorpusScore } from './sacrebleu/corpus'
export type { Arithmetic, CorpusMetric } from './sacrebleu/metric'
export type { ResampleNote, Signature } from './sacrebleu/signature'
export { type SentenceTerOptions, sentenceTer, type TerOptions, type TerResult, ter, terMetric } from './sacrebleu/ter'
export { BLEU_TOKENIZERS, type BleuTokenizer, bleuTokens } from './sacrebleu/tokenizers'
export {
  bootstrapInterval,
  type Interval,
  type PairedDifference,
  pairedBootstrap,
  pairedRandomization,
  type ResampleOptions,
} from './significance/bootstrap'
export { correctPValues } from './significance/corrections'
export { type PairedTestOptions, type PairedTestResult, pairedTest } from './significance/paired-test'
export type { MeanInterval } from './significance/resampling'
export { type SampleSize, sampleSize } from './significance/sample-size'
export { referencesFromStreams } from './strings/pairs'
