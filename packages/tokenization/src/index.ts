export type { AssistantSpans } from './chat/assistant-spans'
export type { ChatOptions } from './chat/options'
export type { ChatMessage } from './chat/render'
export type { RenderedChat } from './chat/render-chat'
export { chatTemplateNotes, chatTemplates, type TemplateName } from './chat/templates'
export { DecodeStream } from './decode-stream'
export { Encoding } from './encoding'
export { buildExample, type Example, type ExampleRow, IGNORE_INDEX } from './example/build'
export type { ExampleOptions } from './example/options'
export type { SpecialTokenRole } from './files/special-tokens'
export { type InspectedToken, type Inspection, type InspectWarning, inspect, type WarningCode } from './inspect/inspect'
export { type RenderTerminalOptions, renderHtml, renderTerminal } from './inspect/render'
export { Tokenizer } from './tokenizer'
export type {
  DecodeOptions,
  EncodeBatchOptions,
  EncodeOptions,
  FromPretrainedOptions,
  NewToken,
  TokenizerOptions,
} from './tokenizer-options'
