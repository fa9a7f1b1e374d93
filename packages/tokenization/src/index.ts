export { type ExampleRow, IGNORE_INDEX, type Message, type TokenizedExample } from '@tunesmith/core'
export type { BatchOptions } from './batch/runner'
export type { AssistantSpans } from './chat/assistant-spans'
export type { ChatOptions } from './chat/options'
export type { RenderedChat } from './chat/render-chat'
export { chatTemplateNotes, chatTemplates, type TemplateName } from './chat/templates'
export { DecodeStream } from './decode-stream'
export { Encoding } from './encoding'
export { buildExample, type Example } from './example/build'
export { type BuildExamplesOptions, buildExamples } from './example/build-many'
export type { ExampleOptions } from './example/options'
export { buildPrompt, type Prompt, promptAndCompletion, promptIds } from './example/prompt'
export type { SpecialTokenRole } from './files/special-tokens'
export { checkRows, type RowChecks } from './inspect/check-rows'
export { type InspectedToken, type Inspection, inspect } from './inspect/inspect'
export { type RenderTerminalOptions, renderHtml, renderTerminal } from './inspect/render'
export type { InspectWarning, WarningCode } from './inspect/warnings'
export { Tokenizer } from './tokenizer'
export type {
  DecodeOptions,
  EncodeBatchOptions,
  EncodeOptions,
  FromPretrainedOptions,
  NewToken,
  TokenizerOptions,
} from './tokenizer-options'
