export { type ExampleRow, IGNORE_INDEX, type Message, type TokenizedExample, type TokenList } from '@tunesmith/core'
export type { CastType } from './dataset/columns'
export { Dataset, LazyDataset } from './dataset/dataset'
export type { InterleaveOptions } from './dataset/interleave'
export type { SortOptions } from './dataset/order'
export type { SplitOptions } from './dataset/split'
export {
  type ClassBalance,
  type ColumnDescription,
  type DatasetDescription,
  type DescribeOptions,
  describe,
} from './describe/describe'
export {
  type Histogram,
  type HistogramSvgOptions,
  histogramSvg,
  type LengthSummary,
  summarizeLengths,
} from './describe/lengths'
export { findOverlap, type Overlap, type OverlapOptions, type OverlapPair } from './describe/overlap'
export { descriptionText } from './describe/text'
export { type ConvertOptions, toExampleRow } from './formats/convert'
export {
  type DetectedFormat,
  type DetectOptions,
  detectFormat,
  type FormatColumns,
  type FormatName,
} from './formats/detect'
export {
  type FormatOptions,
  type FormattedDataset,
  type FormattedStream,
  type FormattingFunction,
  formatDataset,
  formatDatasetInTurns,
  formatOptionsSchema,
  formatStream,
} from './formats/format-dataset'
export {
  type FormattedPreferences,
  type FormattedUnpaired,
  formatPreferences,
  formatUnpaired,
  type PreferenceOptions,
  type PreferenceRow,
  preferenceOptionsSchema,
  toPreferenceRow,
  type UnpairedRow,
} from './formats/preferences'
export {
  applyLengthPolicy,
  applyLengthPolicyInTurns,
  type LengthPolicyOptions,
  type LengthPolicyResult,
  type LengthReport,
} from './lengths/policy'
export { hubId } from './load/hub'
export { type DataSource, loadDataset, loadDatasetSplits } from './load/load'
export { type LoadOptions, loadOptionsSchema } from './load/options'
export {
  collate,
  collatePadded,
  type PackedBatch,
  type PaddedBatch,
  type PaddedCollateOptions,
} from './packing/collate'
export {
  type BestFitOptions,
  type PackedBin,
  type PackedSlice,
  packBestFitDecreasing,
  packWrapped,
} from './packing/pack'
export {
  type PackedExamples,
  type PackingReport,
  type PackOptions,
  packExamples,
  packExamplesInTurns,
} from './packing/pack-examples'
export { packStream } from './packing/pack-stream'
export type { Row, RowChunk } from './rows'
export { createSampler, type Sampler, type SamplerOptions, type SamplerState } from './sampling/sampler'
export type { SkipReport } from './skipped'
export { DataStream } from './stream/stream'
export { checkTokenized } from './tokenized'
export type { BatchFunction, CachedTransformOptions, RowFunction, TransformOptions } from './transform/options'
export type { WriteParquetOptions } from './write/parquet'
export type { WriteCsvOptions } from './write/text'
