export type { Document, FieldValue } from './documents/document'
export { htmlText } from './documents/html'
export { pdfText } from './documents/pdf'
export { type ReadDocumentsOptions, readDocuments, rowDocument } from './documents/read'
export { type LanguageModel, likelihoodReranker, modelEmbedder, type TextTokenizer } from './embed/causal-model'
export type { Embedder } from './embed/embedder'
export { type EndpointOptions, endpointEmbedder } from './embed/endpoint'
export { embedderNamed } from './embed/named'
export { crossEncoder, type OnnxOptions, onnxEmbedder } from './embed/onnx'
export { sentenceEncoder } from './embed/sentence-encoder'
export { type AnswerEvaluation, type AnsweredRow, evaluateAnswers } from './evaluate/evaluate-answers'
export {
  type EvaluateRetrievalOptions,
  evaluateRetrieval,
  type RetrievalEvaluation,
  type SystemScores,
} from './evaluate/evaluate-retrieval'
export {
  type CreateIndexOptions,
  createIndex,
  type IndexSize,
  type OpenIndexOptions,
  openIndex,
  type RetrievalIndex,
} from './index/retrieval-index'
export type { IndexSettings } from './index/settings'
export type { AddOptions, AddReport } from './index/write'
export { type CheckedAnswer, type CheckOptions, type Citation, type Claim, checkCitations } from './prompt/citations'
export {
  NOT_IN_SOURCES,
  type NumberedPassage,
  type RagPrompt,
  type RagPromptOptions,
  ragPrompt,
} from './prompt/rag-prompt'
export type { Condition, Where } from './search/filter'
export type { Fit, LabelledQuestion } from './search/fit'
export { convexFusion, type Fusion, type Ranked, reciprocalRankFusion } from './search/fusion'
export { maximalMarginalRelevance } from './search/mmr'
export {
  type Explanation,
  type Passage,
  type Placed,
  type Reranker,
  SEARCH_MODES,
  type SearchMode,
  type SearchOptions,
} from './search/search'
export { type AnalyserOptions, createAnalyser } from './text/analyse'
export { type ChunkOptions, type CountTokens, chunkText, countWords, joinChunks, type Span } from './text/chunk'
export { MASKS, type MaskPattern, type MaskReport } from './text/mask'
