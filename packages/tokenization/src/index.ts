export type { ChatOptions } from './chat/options'
export type { ChatMessage } from './chat/render'
export type { RenderedChat } from './chat/render-chat'
export { DecodeStream } from './decode-stream'
export { Encoding } from './encoding'
export { buildExample, type Example, type ExampleOptions, type ExampleRow, IGNORE_INDEX } from './example/build'
export type { SpecialTokenRole } from './files/special-tokens'
export { Tokenizer } from './tokenizer'
export type {
  DecodeOptions,
  EncodeBatchOptions,
  EncodeOptions,
  FromPretrainedOptions,
  NewToken,
  TokenizerOptions,
} from './tokenizer-options'
