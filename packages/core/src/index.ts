export {
  barChart,
  CHART_SIZE,
  chartColour,
  chartFrame,
  chartPlace,
  xScale,
  yScale,
} from './chart'
export {
  errorAt,
  incompatible,
  invalidData,
  invalidFile,
  invalidOptions,
  isTunesmithError,
  networkError,
  notFound,
  TunesmithError,
  type TunesmithErrorCode,
  type TunesmithErrorOptions,
  unsupported,
} from './errors'
export { escapeHtml } from './escape-html'
export {
  EXAMPLE_COLUMNS,
  type ExampleRow,
  IGNORE_INDEX,
  type Message,
  messageText,
  partText,
  type TokenizedExample,
  type TokenList,
} from './example'
export { fileError } from './file-error'
export { writeFileAtomic, writeFolderAtomic } from './files'
export {
  aligned,
  bf16ToF32,
  createConversions,
  f16ToF32,
  f32ToBf16,
  f32ToF16,
  type HalfBits,
} from './half-precision'
export { parseJson, parseJsonObject } from './json'
export { camelCase, renameKeys, snakeCase } from './letter-case'
export { nearestName, parseOptions } from './options'
export { inParallel } from './parallel'
export { createProgress, formatDuration, type Progress, type ProgressOptions } from './progress'
export { Random, type RandomState } from './random'
export { RequestError, type RequestOptions, requestJson, retryAfter } from './request'
export { atOnce, createTurns, inTurns } from './turns'
export { abortedError, mapInOrder, WorkerPool, type WorkerPoolOptions } from './worker-pool'
