export { compareReport, type Report } from './report/compareReport'
export { type LineChartOptions, lineChart } from './report/lineChart'
export type { Comparison, MetricSummary, ReportSummary, SystemSummary } from './report/summary'
export type { CheckFailure, EvalRow, MetricResult, ReportOptions } from './report/types'
export { type DiffPiece, wordDiff } from './report/wordDiff'
export { porterStem } from './rouge/porterStemmer'
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
  type BleuResult,
  bleu,
  bleuMetric,
  type SentenceBleuOptions,
  sentenceBleu,
} from './sacrebleu/bleu'
export type { BleuParts } from './sacrebleu/bleuMetric'
export { type ChrfOptions, chrf, chrfMetric, type SentenceChrfOptions, sentenceChrf } from './sacrebleu/chrf'
export type { CorpusScore } from './sacrebleu/corpus'
export type { CorpusMetric } from './sacrebleu/metric'
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
export { type PairedTestOptions, type PairedTestResult, pairedTest } from './significance/pairedTest'
export { referencesFromStreams } from './text/pairs'
